// The driver's side of virtio, for tests: a split virtqueue filled by hand, and the handshake over virtio-mmio. Written
// against the specification, not against our device; every step can also be done wrongly.
#pragma once

#include <linux/virtio_ring.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/devices/bus.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/split_queue.h"

namespace twofold::testing {

// One buffer of a request.
struct Segment {
  Gpa gpa;
  uint32_t bytes = 0;
  bool device_writes = false;
};

// The driver's half of a queue whose three parts lie one after the other from `base` on. One thread.
class DriverQueue {
 public:
  // `features` are the negotiated ones.
  DriverQueue(const GuestMemory& memory, Gpa base, uint16_t size, uint64_t features = 0);

  [[nodiscard]] QueueLayout layout() const { return layout_; }
  // The first address after the queue.
  [[nodiscard]] Gpa end() const { return end_; }

  // Chains the segments into free descriptors and puts the head into the ring; the device sees it after publish().
  // Nothing if there are not enough free descriptors.
  std::optional<uint16_t> add(std::span<const Segment> segments);
  // The same through a table of descriptors at `table`, which takes one descriptor of the queue.
  std::optional<uint16_t> add_indirect(std::span<const Segment> segments, Gpa table);
  void publish();
  // Whether the device asked to be notified of what was published since the last call.
  bool wants_notification();

  // The next used element, and its descriptors back on the free list.
  std::optional<vring_used_elem> take_used();

  void set_no_interrupt(bool on) const;
  // With EVENT_IDX: interrupt when used->idx passes `index`.
  void set_used_event(uint16_t index) const;

  // Raw access, for doing it wrongly.
  void write_descriptor(uint16_t index, const vring_desc& descriptor) const;
  void write_ring(uint16_t slot, uint16_t head) const;
  void write_available_index(uint16_t index) const;
  [[nodiscard]] uint16_t used_index() const;
  [[nodiscard]] uint16_t used_flags() const;
  [[nodiscard]] uint16_t avail_event() const;

 private:
  [[nodiscard]] uint16_t& u16(Gpa gpa) const;
  void put_in_ring(uint16_t head);

  const GuestMemory* memory_;
  QueueLayout layout_;
  Gpa end_;
  bool event_idx_;
  std::vector<uint16_t> free_;
  std::vector<std::vector<uint16_t>> chains_;  // by head: the descriptors in use
  uint16_t next_available_ = 0;
  uint16_t published_ = 0;
  uint16_t notified_ = 0;
  uint16_t next_used_ = 0;
};

// Register accesses and the handshake of §3.1.1.
class MmioDriver {
 public:
  explicit MmioDriver(BusDevice& device) : device_(device) {}

  [[nodiscard]] uint32_t read(uint64_t offset) const;
  void write(uint64_t offset, uint32_t value) const;

  [[nodiscard]] uint64_t offered_features() const;
  void write_features(uint64_t features) const;
  // Reset up to and with FEATURES_OK. Returns whether the device took the features.
  [[nodiscard]] bool negotiate(uint64_t features) const;
  // Returns whether the device says QueueReady.
  [[nodiscard]] bool start_queue(uint32_t index, const QueueLayout& layout) const;
  void set_status(uint32_t bits) const;  // adds to the bits that are set
  void driver_ok() const;
  void notify(uint32_t queue) const;

 private:
  BusDevice& device_;
};

}  // namespace twofold::testing
