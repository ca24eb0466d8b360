#include "vmm/machine/vcpu_thread.h"

#include <fmt/format.h>
#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <span>
#include <system_error>

namespace twofold {

namespace {

// The run page of the vCPU that this thread runs, for the kick's signal handler.
thread_local kvm_run* current_run = nullptr;

// A kick that lands just before KVM_RUN would be lost if it only interrupted system calls; immediate_exit keeps it
// (api.rst, KVM_RUN).
void on_kick(int) {
  if (current_run != nullptr) __atomic_store_n(&current_run->immediate_exit, 1, __ATOMIC_RELAXED);
}

int kick_signal() {
  return SIGRTMIN;
}

void install_kick_handler() {
  struct sigaction action = {};
  action.sa_handler = on_kick;  // no SA_RESTART: KVM_RUN must come back
  sigemptyset(&action.sa_mask);
  ::sigaction(kick_signal(), &action, nullptr);
}

std::string internal_error_text(const kvm_run& run) {
  const char* what = "unknown suberror";
  switch (run.internal.suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      what = "it could not emulate an instruction";
      break;
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      what = "exceptions collided";
      break;
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      what = "an event could not be delivered";
      break;
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
      what = "the CPU gave an unexpected exit reason";
      break;
    default:
      break;
  }
  return fmt::format("KVM_EXIT_INTERNAL_ERROR suberror {}: {}", run.internal.suberror, what);
}

void count(std::atomic<uint64_t>& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

VcpuThread::VcpuThread(uint32_t index, Vcpu vcpu, Bus& ports, Bus& mmio, RunGate& gate, OnDeath on_death)
    : index_(index), vcpu_(std::move(vcpu)), ports_(ports), mmio_(mmio), gate_(gate), on_death_(std::move(on_death)) {}

VcpuThread::~VcpuThread() {
  join();
}

Status VcpuThread::start() {
  install_kick_handler();
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error& error) {
    return fail_host("cannot start the thread of vCPU {}: {}", index_, error.what());
  }
  return {};
}

void VcpuThread::join() {
  if (thread_.joinable()) thread_.join();
}

void VcpuThread::kick() {
  const std::lock_guard lock(handle_mutex_);
  if (handle_) ::pthread_kill(*handle_, kick_signal());
}

void VcpuThread::loop() {
  kvm_run& run = vcpu_.run_page();
  current_run = &run;
  ::pthread_setname_np(::pthread_self(), fmt::format("vcpu{}", index_).c_str());
  {
    const std::lock_guard lock(handle_mutex_);
    handle_ = ::pthread_self();
  }
  for (;;) {
    // Cleared before the gate is looked at: a kick from here on sets it again, so that KVM_RUN returns at once.
    __atomic_store_n(&run.immediate_exit, 0, __ATOMIC_RELAXED);
    if (!gate_.pass()) break;

    StopReason reason;
    bool alive = true;
    const int error = vcpu_.run();
    if (error == EINTR || error == EAGAIN) {
      count(exits_.interrupted);
    } else if (error != 0) {
      reason = {StopKind::kInternalError, 0, fmt::format("KVM_RUN on vCPU {}: {}", index_, errno_text(error))};
      alive = false;
    } else {
      alive = handle_exit(reason);
    }
    if (!alive) {
      on_death_(vcpu_, std::move(reason));
      break;
    }
  }
  {
    const std::lock_guard lock(handle_mutex_);
    handle_.reset();
  }
  current_run = nullptr;
  gate_.leave();
}

bool VcpuThread::handle_exit(StopReason& reason) {
  const kvm_run& run = vcpu_.run_page();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      count(exits_.port_io);
      handle_port_io();
      return true;
    case KVM_EXIT_MMIO:
      count(exits_.mmio);
      handle_mmio();
      return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_HLT:  // the interrupt controller inside KVM waits for us; seen only in passing
      count(exits_.interrupted);
      return true;
    case KVM_EXIT_SHUTDOWN:
      reason = {StopKind::kTripleFault, 0, fmt::format("vCPU {}", index_)};
      return false;
    case KVM_EXIT_FAIL_ENTRY:
      reason = {StopKind::kInternalError, 0,
                fmt::format("KVM_EXIT_FAIL_ENTRY on vCPU {}, hardware reason {:#x}", index_,
                            uint64_t{run.fail_entry.hardware_entry_failure_reason})};
      return false;
    case KVM_EXIT_INTERNAL_ERROR:
      reason = {StopKind::kInternalError, 0, internal_error_text(run)};
      return false;
    default:
      count(exits_.other);
      reason = {StopKind::kUnknownExit, 0, fmt::format("exit reason {} on vCPU {}", run.exit_reason, index_)};
      return false;
  }
}

void VcpuThread::handle_port_io() {
  kvm_run& run = vcpu_.run_page();
  auto* data = reinterpret_cast<std::byte*>(&run) + run.io.data_offset;
  for (uint32_t i = 0; i < run.io.count; ++i, data += run.io.size) {
    if (run.io.direction == KVM_EXIT_IO_OUT) {
      ports_.write(run.io.port, std::span<const std::byte>(data, run.io.size));
    } else {
      ports_.read(run.io.port, std::span<std::byte>(data, run.io.size));
    }
  }
}

void VcpuThread::handle_mmio() {
  kvm_run& run = vcpu_.run_page();
  auto* data = reinterpret_cast<std::byte*>(run.mmio.data);
  if (run.mmio.is_write != 0) {
    mmio_.write(run.mmio.phys_addr, std::span<const std::byte>(data, run.mmio.len));
  } else {
    mmio_.read(run.mmio.phys_addr, std::span<std::byte>(data, run.mmio.len));
  }
}

}  // namespace twofold
