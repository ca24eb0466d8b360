// What a kind of virtio device adds to the transport: its features, its config space, and the work on its queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "vmm/virtio/split_queue.h"

namespace twofold {

// Thread safety: the transport that carries the device calls everything below with its lock held, on vCPU threads and
// on the I/O thread. A device whose config changes on its own asks the transport: MmioTransport::update_config().
class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;

  // Names the device in logs and statistics: "blk0".
  [[nodiscard]] virtual std::string_view name() const = 0;
  // VIRTIO_ID_* of <linux/virtio_ids.h>.
  [[nodiscard]] virtual uint32_t device_id() const = 0;
  // The device's own feature bits. The transport adds VERSION_1 and those of the ring.
  [[nodiscard]] virtual uint64_t features() const = 0;
  // The largest size of each queue, by index: powers of two. Constant over the device's life.
  [[nodiscard]] virtual std::span<const uint16_t> queue_sizes() const = 0;

  // The device-specific config space, little endian. `offset` and `data` may lie beyond its end: such bytes read as
  // ones, and writes of them are dropped.
  virtual void read_config(uint64_t offset, std::span<std::byte> data) const = 0;
  virtual void write_config(uint64_t offset, std::span<const std::byte> data) = 0;

  // The driver has said DRIVER_OK and took `features`, a subset of those offered. Queues may be processed from now on.
  virtual void activate(uint64_t features) = 0;
  // The driver reset the device. All state the driver gave is forgotten.
  virtual void reset() = 0;

  // Takes what is available in queue `index`, within a bound of its own, and puts what it finished into the used ring.
  // The transport publishes once afterwards. Returns whether work was left for another call.
  [[nodiscard]] virtual bool process_queue(uint32_t index, SplitQueue& queue) = 0;
};

}  // namespace twofold
