#include "vmm/kvm/probe.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace twofold {

namespace {

// The guest's memory, four pages, and where its tables show them.
//
//   GPA 0x0000 code      ◀─ GVA 0x0000
//   GPA 0x1000 directory
//   GPA 0x2000 table
//   GPA 0x3000 data      ◀─ GVA 0x5000
constexpr size_t kMemoryBytes = 4 * kPageSize;
constexpr uint32_t kDirectory = 0x1000;
constexpr uint32_t kTable = 0x2000;
constexpr uint32_t kData = 0x3000;
constexpr uint32_t kGva = 0x5123;

constexpr uint32_t kPresentWritable = 0x3;  // Intel SDM vol. 3, table 4-5: P and R/W

//   0:  b8 00 10 00 00     mov  eax, 0x1000
//   5:  0f 22 d8           mov  cr3, eax
//   8:  0f 20 c0           mov  eax, cr0
//   b:  0d 00 00 00 80     or   eax, 0x80000000    ; CR0.PG
//  10:  0f 22 c0           mov  cr0, eax
//  13:  a0 23 51 00 00     mov  al, [0x5123]       ; GPA 0x3123
//  18:  e6 f4              out  0xf4, al
//  1a:  f4                 hlt
constexpr std::array<uint8_t, 27> kCode = {0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8, 0x0f,
                                           0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22,
                                           0xc0, 0xa0, 0x23, 0x51, 0x00, 0x00, 0xe6, 0xf4, 0xf4};

// Where KVM on Intel keeps its own pages for real mode: below the BIOS, as every VMM has them.
constexpr Gpa kIdentityMap{0xfffbc000};
constexpr Gpa kTss{0xfffbd000};

struct Unmap {
  void operator()(std::byte* memory) const { ::munmap(memory, kMemoryBytes); }
};
using Memory = std::unique_ptr<std::byte, Unmap>;

void put32(std::byte* memory, uint32_t gpa, uint32_t value) {
  std::memcpy(memory + gpa, &value, sizeof value);
}

Result<Memory> make_memory() {
  // SAFETY: private and ours; freed by Memory, which outlives the VM that has it as a slot.
  void* map = ::mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return fail("cannot map the probe guest's memory: {}", errno_text(errno));
  Memory memory(static_cast<std::byte*>(map));
  std::memcpy(memory.get(), kCode.data(), kCode.size());
  put32(memory.get(), kDirectory + 4 * (kGva >> 22), kTable | kPresentWritable);
  put32(memory.get(), kTable, 0x0 | kPresentWritable);
  put32(memory.get(), kTable + 4 * (kGva >> kPageShift & 0x3ff), kData | kPresentWritable);
  memory.get()[kData + kGva % kPageSize] = std::byte{kProbeByte};
  return memory;
}

// 32-bit protected mode, flat segments, paging off, as PVH and Multiboot start a kernel.
Status enter_protected_mode(const Vcpu& vcpu) {
  auto sregs = vcpu.sregs();
  if (!sregs) return pass_on(sregs);
  kvm_segment code = {};
  code.limit = 0xffffffff;
  code.selector = 0x08;
  code.type = 0xb;  // execute, read, accessed
  code.present = code.db = code.s = code.g = 1;
  kvm_segment data = code;
  data.selector = 0x10;
  data.type = 0x3;  // read, write, accessed
  sregs->cs = code;
  sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
  sregs->cr0 = 0x11;  // PE and ET
  sregs->cr4 = 0;
  sregs->efer = 0;
  if (auto done = vcpu.set_sregs(*sregs); !done) return done;
  kvm_regs regs = {};
  regs.rflags = 0x2;  // the bit that is always one
  return vcpu.set_regs(regs);
}

void on_alarm(int) {}

// SIGALRM, again and again, until destroyed: one that lands just before KVM_RUN is followed by one that lands in it.
class Alarms {
 public:
  Alarms() {
    struct sigaction action = {};
    action.sa_handler = on_alarm;  // no SA_RESTART: KVM_RUN is to return EINTR
    ::sigaction(SIGALRM, &action, &before_);
    const itimerval every = {{0, 50'000}, {0, 50'000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  }
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;
  ~Alarms() {
    const itimerval never = {};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct sigaction before_ = {};
};

ProbeResult run_until_exit(const Vcpu& vcpu, std::chrono::milliseconds patience) {
  const Alarms alarms;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const int error = vcpu.run();
    if (error == 0 && vcpu.run_page().exit_reason != KVM_EXIT_INTR) return judge_probe_exit(vcpu.run_page());
    if (error != 0 && error != EINTR && error != EAGAIN)
      return {false, fmt::format("KVM_RUN failed: {}", errno_text(error))};
    if (std::chrono::steady_clock::now() >= deadline) {
      return {false, fmt::format("the probe guest got nowhere in {} ms", patience.count())};
    }
  }
}

}  // namespace

ProbeResult run_paging_probe(const Kvm& kvm, std::chrono::milliseconds patience) {
  // Before the VM, so that it goes after it.
  const auto memory = make_memory();
  if (!memory) return {false, memory.error().message};
  const auto vm = kvm.create_vm();
  if (!vm) return {false, vm.error().message};
  if (auto done = vm->create_interrupt_controllers(kIdentityMap, kTss); !done) return {false, done.error().message};
  if (auto done = vm->set_memory_slot(0, Gpa{0}, memory->get(), kMemoryBytes); !done)
    return {false, done.error().message};
  const auto vcpu = vm->create_vcpu(0);
  if (!vcpu) return {false, vcpu.error().message};
  if (auto done = enter_protected_mode(*vcpu); !done) return {false, done.error().message};
  return run_until_exit(*vcpu, patience);
}

ProbeResult judge_probe_exit(const kvm_run& exit) {
  switch (exit.exit_reason) {
    case KVM_EXIT_IO:
      break;
    case KVM_EXIT_SHUTDOWN:
      return {false, "KVM_EXIT_SHUTDOWN as the guest turned paging on"};
    case KVM_EXIT_INTERNAL_ERROR:
      return {false, fmt::format("KVM_EXIT_INTERNAL_ERROR, suberror {}", exit.internal.suberror)};
    case KVM_EXIT_FAIL_ENTRY:
      return {false,
              fmt::format("KVM_EXIT_FAIL_ENTRY, hardware reason {:#x}", exit.fail_entry.hardware_entry_failure_reason)};
    default:
      return {false, fmt::format("an unexpected KVM exit, reason {}", exit.exit_reason)};
  }
  const auto& io = exit.io;
  if (io.direction != KVM_EXIT_IO_OUT || io.port != kProbePort || io.size != 1 || io.count != 1) {
    return {false, fmt::format("an unexpected port access: {} bytes at {:#x}", io.size, io.port)};
  }
  // SAFETY: KVM keeps the data of a port exit inside the run page, which is what `exit` refers to.
  const uint8_t byte = *(reinterpret_cast<const uint8_t*>(&exit) + io.data_offset);
  if (byte != kProbeByte) return {false, fmt::format("GVA {:#x} read as {:#x}, not {:#x}", kGva, byte, kProbeByte)};
  return {true,
          fmt::format("32-bit paging on, GVA {:#x} translated, {:#x} written to port {:#x}", kGva, byte, io.port)};
}

}  // namespace twofold
