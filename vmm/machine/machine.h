// One VM, put together: RAM, vCPUs, buses, devices, and the loop that serves them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vmm/boot/load.h"
#include "vmm/devices/bus.h"
#include "vmm/devices/debug_exit.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/balloon.h"
#include "vmm/machine/console.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/merging.h"
#include "vmm/machine/run_gate.h"
#include "vmm/machine/stop_reason.h"
#include "vmm/machine/vcpu_thread.h"
#include "vmm/machine/virtio_slot.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/memory/reclaim.h"

namespace twofold {

struct DiskConfig {
  std::string path;
  bool read_only = false;
};

struct MachineConfig {
  std::string kernel;
  std::optional<std::string> initrd;
  std::string cmdline;  // as the user gave it; devices announce themselves behind it
  uint64_t memory_bytes = 0;
  uint32_t cpus = 1;
  std::vector<DiskConfig> disks;
  std::optional<BalloonConfig> balloon;  // none: no such device
  std::optional<MergeConfig> merge;      // none: pages are not merged
  ConsoleTarget console;
};

enum class MachineState : uint8_t { kCreated, kRunning, kPaused, kStopped };

// Life: create() → run() on the main thread, which returns when the guest has ended → destruction. While run() goes on,
// stop(), pause(), resume(), state() and the accessors are safe in any other thread; a caller on another thread must be
// gone before the machine is destroyed.
class Machine {
 public:
  // Builds the VM and loads the kernel; nothing of the guest has run yet. Errors name what was attempted, on what, and
  // why.
  static Result<std::unique_ptr<Machine>> create(const Kvm& kvm, const MachineConfig& config);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // The loop of the I/O thread, for whoever wants to add descriptors of their own before run().
  [[nodiscard]] EventLoop& loop() { return loop_; }

  // Starts the vCPUs and serves the guest until it ends or is stopped. Returns why, once every vCPU thread has ended.
  // Call once.
  Result<StopReason> run();

  // Writes out what the console still holds; blocks on a slow reader. After run().
  void flush_console() { console_->flush(); }

  // Ends the guest; the first reason given is the one that run() returns.
  void stop(StopReason reason);

  // All vCPUs leave the guest and wait / go on. pause() returns when they have; neither may be called from a vCPU
  // thread. The user's pause is one, however often asked for. False if the machine does not run, or if a vCPU does not
  // come out of what it does: it waits for a reader of the console.
  bool pause();
  bool resume();
  [[nodiscard]] MachineState state() const;
  // Why it ends or has ended, once it does.
  [[nodiscard]] std::optional<StopReason> reason() const;

  // Runs `inspect` on vCPU `index` with all vCPUs out of the guest, then lets them go on as before. False if there is
  // no such vCPU, or where pause() would return false.
  bool with_stopped_vcpu(uint32_t index, const std::function<void(const Vcpu&)>& inspect);

  [[nodiscard]] const GuestMemory& memory() const { return memory_; }
  [[nodiscard]] const BootState& boot() const { return boot_; }
  [[nodiscard]] uint32_t cpus() const { return static_cast<uint32_t>(vcpus_.size()); }
  [[nodiscard]] const VcpuThread& vcpu(uint32_t index) const { return *vcpus_[index]; }
  [[nodiscard]] const Bus& ports() const { return ports_; }
  [[nodiscard]] const Bus& mmio() const { return mmio_; }
  [[nodiscard]] const std::vector<std::unique_ptr<VirtioSlot>>& virtio() const { return virtio_; }
  [[nodiscard]] const Uart16550& uart() const { return console_->uart(); }
  [[nodiscard]] const Reclaim& reclaim() const { return reclaim_; }

  // The balloon's steering; null if the guest has none. Safe in any thread while run() goes on.
  [[nodiscard]] Balloon* balloon() { return balloon_.get(); }
  // Null if its pages are not merged. Likewise.
  [[nodiscard]] Merging* merging() { return merging_.get(); }

 private:
  Machine(Vm vm, GuestMemory memory, EventLoop loop, uint32_t cpus);
  Status plug_devices(const MachineConfig& config);
  Status plug_virtio(std::unique_ptr<VirtioDevice> device);
  Status create_vcpus(const Kvm& kvm, uint32_t count);
  void kick_all();
  void on_death(const Vcpu& vcpu, StopReason reason);
  [[nodiscard]] bool started() const { return state_ == MachineState::kRunning || state_ == MachineState::kPaused; }

  // Order of destruction matters: vCPU threads end first, then what they call, then the VM, then its memory.
  GuestMemory memory_;
  Reclaim reclaim_{memory_};
  Vm vm_;
  EventLoop loop_;
  BootState boot_;
  Bus ports_{"port"};
  Bus mmio_{"MMIO address"};
  std::unique_ptr<Console> console_;
  std::unique_ptr<DebugExit> debug_exit_;
  std::vector<std::unique_ptr<VirtioSlot>> virtio_;
  std::unique_ptr<Balloon> balloon_;  // steers one of virtio_
  RunGate gate_;
  std::vector<std::unique_ptr<VcpuThread>> vcpus_;  // immutable once run() has begun
  std::unique_ptr<Merging> merging_;                // after balloon_, whose settler it uses

  mutable std::mutex mutex_;  // guards the three below
  MachineState state_ = MachineState::kCreated;
  std::optional<StopReason> reason_;
  // Serializes pausers, so that "pause, look, resume" of one is not mixed with another's. Taken before mutex_, never
  // after.
  std::mutex pause_mutex_;
};

}  // namespace twofold
