// The device's side of a split virtqueue (virtio 1.2 §2.7).
//
// Nothing in the ring is trusted. Each value is fetched once and checked as a copy. What breaks the rules (an index
// that ran too far, a head or a next beyond the table, a chain longer than the queue, a buffer outside RAM, …) makes
// the queue broken(): it yields nothing more until the driver resets the device.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

// One request: the buffers of a descriptor chain, as host addresses inside guest RAM. Valid until the next pop(). Their
// bytes are the guest's to change at any time.
struct DescriptorChain {
  uint16_t head = 0;
  std::span<const iovec> readable;  // device-readable, in order; never empty buffers
  std::span<const iovec> writable;  // device-writable, in order; likewise
};

// Where the driver put the three parts of a queue.
struct QueueLayout {
  uint16_t size = 0;  // entries
  Gpa descriptors;
  Gpa available;
  Gpa used;
};

// Thread safety: none; the transport's lock guards it. Against the driver on its vCPUs, order is kept by the pairs of
// atomic accesses that the .cc names.
class SplitQueue {
 public:
  SplitQueue() = default;
  SplitQueue(const SplitQueue&) = delete;
  SplitQueue& operator=(const SplitQueue&) = delete;
  SplitQueue(SplitQueue&&) = default;
  SplitQueue& operator=(SplitQueue&&) = default;

  // Starts afresh on the given layout. `features` are the negotiated ones: INDIRECT_DESC and EVENT_IDX matter here.
  // False, and not ready, if the size is not a power of two up to `max_size`, a part is misaligned (16, 2, 4 bytes:
  // §2.7), or is not wholly in RAM. `memory` outlives the queue. The only place that allocates: room for one chain.
  [[nodiscard]] bool start(const GuestMemory& memory, const QueueLayout& layout, uint16_t max_size, uint64_t features);
  // Back to not ready.
  void stop();

  [[nodiscard]] bool ready() const { return size_ != 0; }
  [[nodiscard]] bool broken() const { return broken_ != nullptr; }
  // What the driver did wrong, for the log; empty unless broken().
  [[nodiscard]] const char* broken_reason() const { return broken_ != nullptr ? broken_ : ""; }
  // Marks the queue as broken, for a device that finds a chain it cannot even answer. The first reason stays.
  void set_broken(const char* reason);

  // The next available chain; nothing if there is none or the queue is broken. REQUIRES: ready().
  [[nodiscard]] std::optional<DescriptorChain> pop();

  // Returns a chain to the driver, of which the device wrote the first `written` bytes. Not seen by the driver before
  // publish(). REQUIRES: `head` came from pop() and was not pushed yet.
  void push(uint16_t head, uint32_t written);

  // Makes all pushed chains visible at once. Returns whether the driver wants an interrupt for them: false if there are
  // none, or if it suppressed interrupts (flags, or used_event with EVENT_IDX: §2.7.7).
  [[nodiscard]] bool publish();

  // Tells the driver that it need not notify (§2.7.10): the device is looking anyway. A hint.
  void suppress_notifications();
  // Asks for notifications again. Returns whether more became available meanwhile, which no notification will tell.
  [[nodiscard]] bool allow_notifications();

 private:
  [[nodiscard]] bool has_available();
  // Collects the chain at `head` into buffers_. False if it is not well-formed.
  bool collect(uint16_t head);
  // Walks one table, the queue's own or an indirect one.
  bool walk(std::span<const std::byte> table, uint32_t entries, uint32_t first, bool indirect);
  bool add_buffer(uint64_t gpa, uint32_t length, bool writable);
  bool refuse(const char* reason);  // set_broken, and false
  [[nodiscard]] uint16_t load_avail(size_t offset) const;
  void store_used(size_t offset, uint16_t value) const;

  const GuestMemory* memory_ = nullptr;
  uint16_t size_ = 0;  // 0: not ready
  bool event_idx_ = false;
  bool indirect_ = false;
  const char* broken_ = nullptr;  // a literal

  std::span<std::byte> descriptors_;
  std::span<std::byte> available_;
  std::span<std::byte> used_;

  // Free-running, modulo 2^16, as the rings' own indices.
  uint16_t next_available_ = 0;  // of the chain that pop() takes next
  uint16_t seen_available_ = 0;  // avail->idx as last fetched
  uint16_t next_used_ = 0;       // where push() writes next
  uint16_t published_used_ = 0;  // used->idx as the driver knows it

  std::vector<iovec> buffers_;   // of the chain last popped; never grows past size_
  size_t readable_buffers_ = 0;  // how many of them, at the front, are device-readable
  uint64_t chain_bytes_ = 0;
};

}  // namespace twofold
