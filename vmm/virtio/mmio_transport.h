// virtio over MMIO, version 2 (virtio 1.2 §4.2): the registers that a driver finds a device by.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "vmm/devices/bus.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/split_queue.h"

namespace twofold {

// Counted since creation; resets do not clear them.
struct VirtioStats {
  uint64_t notifications = 0;  // calls of notify() for a queue that could be processed
  uint64_t interrupts = 0;     // edges sent
  uint64_t driver_errors = 0;  // accesses that the specification forbids, each without effect
  uint64_t broken_queues = 0;  // times the device went to NEEDS_RESET
};

// Carries one device. Registers are 32 bits wide and aligned; any other access to them reads as ones or is dropped, and
// so does a register that is not there. The config space takes every width.
//
// The handshake is held to §3.1.1: features only between DRIVER and FEATURES_OK, FEATURES_OK only for a subset of what
// was offered with VERSION_1 in it, queues only after FEATURES_OK, and no buffer is touched before DRIVER_OK. Status
// bits are cleared by a reset alone (a write of 0). A broken queue sets NEEDS_RESET, and nothing is processed until the
// reset.
//
// Thread safety: all of it. mutex_ guards the device, its queues and every register but InterruptStatus, which is
// atomic, so that an interrupt handler is not held up by a transfer in progress.
class MmioTransport final : public BusDevice {
 public:
  static constexpr uint64_t kBytes = 0x200;        // registers, then config space from 0x100
  static constexpr uint64_t kNotifyOffset = 0x50;  // where to hang ioeventfds: 4 bytes, matching the queue's index

  // All three are borrowed and outlive the transport.
  MmioTransport(VirtioDevice& device, const GuestMemory& memory, Interrupt& interrupt);

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // The driver made buffers available in `queue`. Called for a write to QueueNotify, and by the event loop when that
  // queue's ioeventfd fires. Returns whether the device left work for another call: an event loop then signals the
  // eventfd again, so that its other descriptors get their turn. Any index is safe.
  [[nodiscard]] bool notify(uint32_t queue);

  // For a device whose config space changes on its own: runs `change` with the lock held, counts the config generation
  // up, and tells a driver that is there.
  void update_config(const std::function<void()>& change);

  // Runs `action` with the lock held: for a look at the device, or a change that no driver need be told of.
  void with_lock(const std::function<void()>& action);

  // Whether a driver has set up `queue` and may be answered in it: notify() would process it. Any index is safe.
  [[nodiscard]] bool is_live(uint32_t queue);

  [[nodiscard]] uint32_t queue_count() const { return static_cast<uint32_t>(queues_.size()); }
  [[nodiscard]] VirtioStats stats() const;

 private:
  [[nodiscard]] bool is_live_locked(uint32_t queue) const;  // REQUIRES mutex_

  // A queue, and what the driver wrote about it before it said QueueReady.
  struct QueueSlot {
    uint16_t max_size;
    uint32_t size = 0;
    uint64_t descriptors = 0;
    uint64_t available = 0;
    uint64_t used = 0;
    SplitQueue queue;
  };

  // All below REQUIRE mutex_, but the last two.
  uint32_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint32_t value);
  void write_queue_register(uint64_t offset, uint32_t value);
  void write_status(uint32_t value);
  void write_driver_features(uint32_t value);
  void write_queue_ready(uint32_t value);
  [[nodiscard]] QueueSlot* selected();
  [[nodiscard]] bool features_acceptable() const;
  void reset();
  void needs_reset(uint32_t queue);
  void driver_error(const char* what);
  void raise(uint32_t cause);

  VirtioDevice& device_;
  const GuestMemory& memory_;
  Interrupt& interrupt_;
  const uint64_t offered_;  // feature bits

  std::mutex mutex_;
  std::vector<QueueSlot> queues_;  // as many as the device has, for good
  uint32_t status_ = 0;
  uint64_t accepted_ = 0;  // feature bits the driver wrote
  uint32_t device_features_sel_ = 0;
  uint32_t driver_features_sel_ = 0;
  uint32_t queue_sel_ = 0;
  uint32_t config_generation_ = 0;

  // VIRTIO_MMIO_INT_*. Set after the used ring is published, cleared by the driver's acknowledgement, which comes
  // before it looks at the ring: so a cleared bit never hides a buffer. Sequentially consistent.
  std::atomic<uint32_t> interrupt_status_{0};

  std::atomic<uint64_t> notifications_{0};  // these four relaxed: statistics
  std::atomic<uint64_t> interrupts_{0};
  std::atomic<uint64_t> driver_errors_{0};
  std::atomic<uint64_t> broken_queues_{0};
};

}  // namespace twofold
