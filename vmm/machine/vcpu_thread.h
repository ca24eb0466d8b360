// One thread that runs one vCPU: into the guest, out with an exit, handle it, and back.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "vmm/devices/bus.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/run_gate.h"
#include "vmm/machine/stop_reason.h"

namespace twofold {

// How often each kind of exit reached user space. Written by one vCPU thread, read by any: relaxed atomics, since a
// count orders nothing.
struct ExitCounts {
  std::atomic<uint64_t> port_io{0};
  std::atomic<uint64_t> mmio{0};
  std::atomic<uint64_t> interrupted{0};
  std::atomic<uint64_t> other{0};
};

class VcpuThread {
 public:
  // Called on the vCPU's thread when the guest cannot go on; `vcpu` is stopped and may be inspected.
  using OnDeath = std::function<void(const Vcpu& vcpu, StopReason reason)>;

  // The buses and the gate stay the caller's and must outlive the thread.
  VcpuThread(uint32_t index, Vcpu vcpu, Bus& ports, Bus& mmio, RunGate& gate, OnDeath on_death);
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;
  // REQUIRES: the gate is stopped, or start() was never called.
  ~VcpuThread();

  // Starts the thread. It ends when the gate says so, or when the guest dies.
  Status start();
  void join();

  // Makes the thread leave the guest soon and look at the gate. Safe in any thread.
  void kick();

  // For the thread that paused the gate, until it resumes it; or before start().
  [[nodiscard]] const Vcpu& vcpu() const { return vcpu_; }
  [[nodiscard]] const ExitCounts& exits() const { return exits_; }

 private:
  void loop();
  // Handles the exit that the run page describes. False, with `reason` filled, if the guest cannot go on.
  bool handle_exit(StopReason& reason);
  void handle_port_io();
  void handle_mmio();

  uint32_t index_;
  Vcpu vcpu_;
  Bus& ports_;
  Bus& mmio_;
  RunGate& gate_;
  OnDeath on_death_;
  ExitCounts exits_;
  std::thread thread_;
  // Who to kick, while the thread runs. The thread sets it before it first looks at the gate and clears it before it
  // ends: a kicker that finds it empty has its closed gate seen (mutex order), and no kick reaches a thread that is
  // gone.
  std::mutex handle_mutex_;
  std::optional<pthread_t> handle_;  // guarded by handle_mutex_
};

}  // namespace twofold
