#include "vmm/machine/machine.h"

#include <spdlog/spdlog.h>

#include "vmm/machine/crash_dump.h"
#include "vmm/machine/vcpu_setup.h"
#include "vmm/memory/layout.h"
#include "vmm/virtio/blk.h"

namespace twofold {

namespace {

// Disks come first, so that a disk's slot does not depend on what else there is.
uint32_t virtio_devices(const MachineConfig& config) {
  return static_cast<uint32_t>(config.disks.size()) + (config.balloon ? 1 : 0);
}

// The user's command line with the devices' announcements behind it, as QEMU's microvm has it.
std::string full_cmdline(const MachineConfig& config) {
  std::string cmdline = config.cmdline;
  for (uint32_t i = 0; i < virtio_devices(config); ++i) {
    if (!cmdline.empty()) cmdline += ' ';
    cmdline += VirtioSlot::announcement(i);
  }
  return cmdline;
}

Status check_config(const MachineConfig& config, const Kvm& kvm) {
  const uint32_t most = std::min(layout::kMaxCpus, static_cast<uint32_t>(kvm.max_vcpus()));
  if (config.cpus == 0 || config.cpus > most) {
    return fail("cannot give the guest {} cpus: this build and this host's KVM allow 1 to {}", config.cpus, most);
  }
  if (virtio_devices(config) > layout::kVirtioMmioMax) {
    return fail("cannot attach {} disks{}: there are {} virtio slots", config.disks.size(),
                config.balloon ? " and a balloon" : "", layout::kVirtioMmioMax);
  }
  return {};
}

Status set_memory_slots(const Vm& vm, const GuestMemory& memory) {
  uint32_t slot = 0;
  for (const RamRange& range : memory.ranges()) {
    auto done = vm.set_memory_slot(slot++, range.base, memory.hva_base() + range.offset, range.bytes);
    if (!done) return done;
  }
  return {};
}

}  // namespace

Machine::Machine(Vm vm, GuestMemory memory, EventLoop loop, uint32_t cpus)
    : memory_(std::move(memory)),
      vm_(std::move(vm)),
      loop_(std::move(loop)),
      gate_(
          cpus, [this] { kick_all(); }, [this] { loop_.stop(); }) {}

Machine::~Machine() {
  gate_.stop();
  for (auto& vcpu : vcpus_) vcpu->join();
}

Result<std::unique_ptr<Machine>> Machine::create(const Kvm& kvm, const MachineConfig& config) {
  if (auto done = check_config(config, kvm); !done) return pass_on(done);
  auto memory = GuestMemory::create(config.memory_bytes, layout::kHole);
  if (!memory) return pass_on(memory);
  // Before anything of KVM's: a kernel that cannot be loaded is the commonest error, and the cheapest to find.
  auto boot = load_kernel(*memory, {config.kernel, config.initrd, full_cmdline(config), config.cpus});
  if (!boot) return pass_on(boot);
  auto loop = EventLoop::create();
  if (!loop) return pass_on(loop);
  auto vm = kvm.create_vm();
  if (!vm) return pass_on(vm);

  std::unique_ptr<Machine> machine(new Machine(std::move(*vm), std::move(*memory), std::move(*loop), config.cpus));
  machine->boot_ = std::move(*boot);
  if (auto done = set_memory_slots(machine->vm_, machine->memory_); !done) return pass_on(done);
  const auto irqchip = machine->vm_.create_interrupt_controllers(Gpa{layout::kKvmIdentityMap}, Gpa{layout::kKvmTss});
  if (!irqchip) return pass_on(irqchip);
  if (auto done = machine->plug_devices(config); !done) return pass_on(done);
  if (auto done = machine->create_vcpus(kvm, config.cpus); !done) return pass_on(done);
  if (config.merge) {
    auto merging = Merging::start(machine->reclaim_, *config.merge);
    if (!merging) return pass_on(merging);
    machine->merging_ = std::move(*merging);
  }
  return machine;
}

Status Machine::plug_devices(const MachineConfig& config) {
  auto console = Console::create(config.console, vm_, loop_, [this] {
    stop({StopKind::kRequested, 0, "Ctrl-A x on the console"});
  });
  if (!console) return pass_on(console);
  console_ = std::move(*console);
  debug_exit_ = std::make_unique<DebugExit>([this](uint32_t value) { stop({StopKind::kVerdict, value, ""}); });
  auto added = ports_.add(layout::kPortCom1, layout::kPortCom1Bytes, "uart", console_->uart());
  if (!added) return added;
  added = ports_.add(layout::kPortDebugExit, layout::kPortDebugExitBytes, "debug-exit", *debug_exit_);
  if (!added) return added;

  for (uint32_t i = 0; i < config.disks.size(); ++i) {
    const DiskConfig& disk = config.disks[i];
    auto image =
        DiskImage::open(disk.path, disk.read_only ? DiskImage::Access::kReadOnly : DiskImage::Access::kReadWrite);
    if (!image) return pass_on(image);
    auto device = std::make_unique<VirtioBlk>(std::move(*image), fmt::format("vd{}", static_cast<char>('a' + i)));
    if (auto done = plug_virtio(std::move(device)); !done) return done;
  }
  if (!config.balloon) return {};
  auto device = std::make_unique<VirtioBalloon>(reclaim_, *config.balloon);
  VirtioBalloon& balloon = *device;
  if (auto done = plug_virtio(std::move(device)); !done) return done;
  auto steering = Balloon::create(balloon, virtio_.back()->transport(), reclaim_, loop_);
  if (!steering) return pass_on(steering);
  balloon_ = std::move(*steering);
  return {};
}

Status Machine::plug_virtio(std::unique_ptr<VirtioDevice> device) {
  const auto index = static_cast<uint32_t>(virtio_.size());
  auto slot = VirtioSlot::create(index, std::move(device), vm_, memory_, mmio_, loop_);
  if (!slot) return pass_on(slot);
  virtio_.push_back(std::move(*slot));
  return {};
}

Status Machine::create_vcpus(const Kvm& kvm, uint32_t count) {
  const auto cpuid = kvm.supported_cpuid();
  if (!cpuid) return pass_on(cpuid);
  for (uint32_t id = 0; id < count; ++id) {
    auto vcpu = vm_.create_vcpu(id);
    if (!vcpu) return pass_on(vcpu);
    if (auto done = set_cpu_identity(*vcpu, *cpuid, id, count); !done) return done;
    if (id == 0) {
      if (auto done = set_virtual_wire(*vcpu); !done) return done;
      if (auto done = set_entry_state(*vcpu, {boot_.eip, boot_.eax, boot_.ebx}); !done) return done;
    }
    vcpus_.push_back(std::make_unique<VcpuThread>(
        id, std::move(*vcpu), ports_, mmio_, gate_,
        [this](const Vcpu& dead, StopReason reason) { on_death(dead, std::move(reason)); }));
  }
  return {};
}

void Machine::kick_all() {
  for (auto& vcpu : vcpus_) vcpu->kick();
}

void Machine::on_death(const Vcpu& vcpu, StopReason reason) {
  spdlog::error("{}", describe(reason));
  for (const std::string& line : crash_dump(vcpu, memory_)) spdlog::error("  {}", line);
  stop(std::move(reason));
}

Result<StopReason> Machine::run() {
  {
    const std::lock_guard lock(mutex_);
    state_ = MachineState::kRunning;
  }
  Status started;
  for (auto& vcpu : vcpus_) {
    if (started) started = vcpu->start();
  }
  if (!started) {
    stop({});
    loop_.stop();
  }
  // Until the last vCPU has left: one may be waiting for a reader of the console, and only a signal can tell it not to.
  loop_.run();
  for (auto& vcpu : vcpus_) vcpu->join();
  const std::lock_guard lock(mutex_);
  state_ = MachineState::kStopped;
  if (!started) return pass_on(started);
  return reason_.value_or(StopReason{});
}

void Machine::stop(StopReason reason) {
  const bool hurry = reason.kind == StopKind::kRequested;
  {
    const std::lock_guard lock(mutex_);
    if (!reason_) reason_ = std::move(reason);
  }
  if (hurry) console_->cancel();
  gate_.stop();
}

bool Machine::pause() {
  const std::lock_guard pausing(pause_mutex_);
  if (state() == MachineState::kPaused) return true;
  if (state() != MachineState::kRunning || !gate_.pause()) return false;
  const std::lock_guard lock(mutex_);
  if (state_ == MachineState::kRunning) state_ = MachineState::kPaused;
  return state_ == MachineState::kPaused;
}

bool Machine::resume() {
  const std::lock_guard pausing(pause_mutex_);
  const std::lock_guard lock(mutex_);
  if (state_ != MachineState::kPaused) return state_ == MachineState::kRunning;
  state_ = MachineState::kRunning;
  gate_.resume();
  return true;
}

MachineState Machine::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::optional<StopReason> Machine::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

bool Machine::with_stopped_vcpu(uint32_t index, const std::function<void(const Vcpu&)>& inspect) {
  if (index >= vcpus_.size()) return false;
  const std::lock_guard pausing(pause_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!started()) return false;
  }
  if (!gate_.pause()) return false;
  // Whatever `inspect` does, the guest goes on.
  const std::unique_ptr<RunGate, void (*)(RunGate*)> resume(&gate_, [](RunGate* gate) { gate->resume(); });
  inspect(vcpus_[index]->vcpu());
  return true;
}

}  // namespace twofold
