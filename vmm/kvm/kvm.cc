#include "vmm/kvm/kvm.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace twofold {

namespace {

// One ioctl whose failure is a set-up error named after it.
template <typename... Arg>
Status checked_ioctl(int fd, const char* name, unsigned long request, Arg... arg) {
  if (::ioctl(fd, request, arg...) < 0) return fail_host("{} failed: {}", name, errno_text(errno));
  return {};
}

// kvm_cpuid2 as the kernel has it. The uapi header's own ends in __DECLARE_FLEX_ARRAY, whose empty struct takes a byte
// in C++ (Linux headers before 6.6): size, offsets and with them the ioctl numbers come out wrong.
struct CpuidHeader {
  uint32_t nent;
  uint32_t padding;
};
constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, CpuidHeader);
constexpr unsigned long kSetCpuid2 = _IOW(KVMIO, 0x90, CpuidHeader);
static_assert(sizeof(kvm_cpuid_entry2) == 40);

#define TWOFOLD_IOCTL(fd, request, ...) checked_ioctl(fd, #request, request __VA_OPT__(, ) __VA_ARGS__)

}  // namespace

Result<Kvm> Kvm::open(const char* path) {
  UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC));
  if (!fd) {
    const char* mend = "run 'twofold doctor' to see what is missing";
    if (errno == ENOENT) mend = "load kvm-intel or kvm-amd, or run inside a lab: scripts/lab/run";
    if (errno == EACCES) mend = "join the group 'kvm', or run as root";
    return fail_host("cannot open {}: {}; {}", path, errno_text(errno), mend);
  }
  const int version = ::ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) {
    return fail_host("cannot use {}: its API version is {}, need {}", path, version, KVM_API_VERSION);
  }
  return Kvm(std::move(fd));
}

int Kvm::check_extension(int capability) const {
  const int answer = ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, capability);
  return answer < 0 ? 0 : answer;
}

int Kvm::max_vcpus() const {
  const int most = check_extension(KVM_CAP_MAX_VCPUS);
  return most > 0 ? most : 4;  // api.rst: 4 where the capability is unknown
}

Result<std::vector<kvm_cpuid_entry2>> Kvm::supported_cpuid() const {
  constexpr uint32_t kMostEntries = 256;  // KVM_MAX_CPUID_ENTRIES
  std::vector<std::byte> buffer(sizeof(CpuidHeader) + kMostEntries * sizeof(kvm_cpuid_entry2));
  CpuidHeader header = {kMostEntries, 0};
  std::memcpy(buffer.data(), &header, sizeof header);
  const auto done = checked_ioctl(fd_.get(), "KVM_GET_SUPPORTED_CPUID", kGetSupportedCpuid, buffer.data());
  if (!done) return pass_on(done);
  std::memcpy(&header, buffer.data(), sizeof header);
  std::vector<kvm_cpuid_entry2> entries(header.nent);
  std::memcpy(entries.data(), buffer.data() + sizeof header, entries.size() * sizeof(kvm_cpuid_entry2));
  return entries;
}

Result<Vm> Kvm::create_vm() const {
  int fd = -1;
  do {
    fd = ::ioctl(fd_.get(), KVM_CREATE_VM, 0);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return fail_host("KVM_CREATE_VM failed: {}", errno_text(errno));
  UniqueFd owner(fd);
  const int run_bytes = ::ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes < static_cast<int>(sizeof(kvm_run))) return fail_host("KVM_GET_VCPU_MMAP_SIZE failed: {}", run_bytes);
  return Vm(std::move(owner), static_cast<size_t>(run_bytes));
}

Status Vm::create_interrupt_controllers(Gpa identity_map, Gpa tss) const {
  uint64_t identity = identity_map.value;
  if (auto done = TWOFOLD_IOCTL(fd_.get(), KVM_SET_IDENTITY_MAP_ADDR, &identity); !done) return done;
  if (auto done = TWOFOLD_IOCTL(fd_.get(), KVM_SET_TSS_ADDR, tss.value); !done) return done;
  if (auto done = TWOFOLD_IOCTL(fd_.get(), KVM_CREATE_IRQCHIP, 0); !done) return done;
  kvm_pit_config pit = {};
  pit.flags = KVM_PIT_SPEAKER_DUMMY;  // port 0x61, by which kernels gate and read counter 2
  return TWOFOLD_IOCTL(fd_.get(), KVM_CREATE_PIT2, &pit);
}

Status Vm::set_memory_slot(uint32_t slot, Gpa gpa, std::byte* hva, uint64_t bytes) const {
  kvm_userspace_memory_region region = {};
  region.slot = slot;
  region.guest_phys_addr = gpa.value;
  region.memory_size = bytes;
  region.userspace_addr = reinterpret_cast<uint64_t>(hva);
  return TWOFOLD_IOCTL(fd_.get(), KVM_SET_USER_MEMORY_REGION, &region);
}

Status Vm::add_irqfd(int eventfd, uint32_t gsi) const {
  kvm_irqfd irqfd = {};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = gsi;
  return TWOFOLD_IOCTL(fd_.get(), KVM_IRQFD, &irqfd);
}

Status Vm::add_ioeventfd(int eventfd, Gpa gpa, uint32_t value) const {
  kvm_ioeventfd ioeventfd = {};
  ioeventfd.datamatch = value;
  ioeventfd.addr = gpa.value;
  ioeventfd.len = sizeof value;
  ioeventfd.fd = eventfd;
  ioeventfd.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  return TWOFOLD_IOCTL(fd_.get(), KVM_IOEVENTFD, &ioeventfd);
}

Result<Vcpu> Vm::create_vcpu(uint32_t id) const {
  UniqueFd fd(::ioctl(fd_.get(), KVM_CREATE_VCPU, static_cast<unsigned long>(id)));
  if (!fd) return fail_host("KVM_CREATE_VCPU {} failed: {}", id, errno_text(errno));
  void* run = ::mmap(nullptr, run_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (run == MAP_FAILED) return fail_host("cannot map the run page of vCPU {}: {}", id, errno_text(errno));
  return Vcpu(std::move(fd), static_cast<kvm_run*>(run), run_bytes_);
}

Vcpu::Vcpu(Vcpu&& other) noexcept
    : fd_(std::move(other.fd_)), run_(std::exchange(other.run_, nullptr)), run_bytes_(other.run_bytes_) {}

Vcpu::~Vcpu() {
  if (run_ != nullptr) ::munmap(run_, run_bytes_);
}

int Vcpu::run() const {
  return ::ioctl(fd_.get(), KVM_RUN, 0) < 0 ? errno : 0;
}

Result<kvm_regs> Vcpu::regs() const {
  kvm_regs regs = {};
  if (auto done = TWOFOLD_IOCTL(fd_.get(), KVM_GET_REGS, &regs); !done) return pass_on(done);
  return regs;
}

Status Vcpu::set_regs(const kvm_regs& regs) const {
  return TWOFOLD_IOCTL(fd_.get(), KVM_SET_REGS, &regs);
}

Result<kvm_sregs> Vcpu::sregs() const {
  kvm_sregs sregs = {};
  if (auto done = TWOFOLD_IOCTL(fd_.get(), KVM_GET_SREGS, &sregs); !done) return pass_on(done);
  return sregs;
}

Status Vcpu::set_sregs(const kvm_sregs& sregs) const {
  return TWOFOLD_IOCTL(fd_.get(), KVM_SET_SREGS, &sregs);
}

Status Vcpu::set_cpuid(std::span<const kvm_cpuid_entry2> entries) const {
  const CpuidHeader header = {static_cast<uint32_t>(entries.size()), 0};
  std::vector<std::byte> buffer(sizeof header + entries.size_bytes());
  std::memcpy(buffer.data(), &header, sizeof header);
  std::memcpy(buffer.data() + sizeof header, entries.data(), entries.size_bytes());
  return checked_ioctl(fd_.get(), "KVM_SET_CPUID2", kSetCpuid2, buffer.data());
}

Result<kvm_lapic_state> Vcpu::lapic() const {
  kvm_lapic_state state = {};
  if (auto done = TWOFOLD_IOCTL(fd_.get(), KVM_GET_LAPIC, &state); !done) return pass_on(done);
  return state;
}

Status Vcpu::set_lapic(const kvm_lapic_state& state) const {
  return TWOFOLD_IOCTL(fd_.get(), KVM_SET_LAPIC, &state);
}

}  // namespace twofold
