// The port a guest ends the machine with, as QEMU's isa-debug-exit.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "vmm/devices/bus.h"

namespace twofold {

// The first write to offset 0 hands its value (1, 2 or 4 bytes) to the callback; later writes, and writes elsewhere, do
// nothing. Reads yield zeros, as QEMU's device has it. What the value means as an exit status, (value << 1) | 1, is the
// machine's business.
//
// Thread safety: all of it; two vCPUs that write at once call the callback once, on the thread of the first.
class DebugExit final : public BusDevice {
 public:
  explicit DebugExit(std::function<void(uint32_t value)> on_exit) : on_exit_(std::move(on_exit)) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  std::function<void(uint32_t)> on_exit_;
  std::atomic<bool> written_{false};  // exchanged: whoever finds false owns the call
};

}  // namespace twofold
