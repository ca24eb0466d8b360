// virtio-blk (virtio 1.2 §5.2) over a disk image.
#pragma once

#include <linux/virtio_blk.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "vmm/virtio/device.h"
#include "vmm/virtio/disk_image.h"

namespace twofold {

// Counted since creation; resets do not clear them.
struct BlkStats {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t flushes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t failures = 0;  // requests answered with IOERR or UNSUPP
};

// One queue. Requests are carried out one after the other on the thread that processes the queue. IN, OUT, FLUSH and
// GET_ID; all else is answered UNSUPP. A driver that does not take VIRTIO_BLK_F_FLUSH gets a write-through disk
// (§5.2.5.1).
//
// A request moves at most kMaxRequestBytes, and one call of process_queue() about kBatchBytes: a driver cannot keep the
// I/O thread from its other work.
class VirtioBlk final : public VirtioDevice {
 public:
  static constexpr uint16_t kQueueSize = 128;
  static constexpr uint32_t kSegMax = kQueueSize - 2;  // header and status take one each
  static constexpr uint32_t kSizeMax = 128 * 1024;
  static constexpr uint64_t kMaxRequestBytes = 16 * 1024 * 1024;
  static_assert(uint64_t{kSegMax} * kSizeMax <= kMaxRequestBytes);
  static constexpr uint64_t kBatchBytes = kMaxRequestBytes;

  // `id` is what GET_ID tells, cut at 20 bytes; it serves as name() too.
  VirtioBlk(DiskImage image, std::string id);

  [[nodiscard]] std::string_view name() const override { return id_; }
  [[nodiscard]] uint32_t device_id() const override;
  [[nodiscard]] uint64_t features() const override;
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t offset, std::span<const std::byte> data) override;
  void activate(uint64_t features) override;
  void reset() override;
  [[nodiscard]] bool process_queue(uint32_t index, SplitQueue& queue) override;

  // Safe in any thread.
  [[nodiscard]] BlkStats stats() const;
  [[nodiscard]] const DiskImage& image() const { return image_; }

  // Whether each write is on the medium before it is answered. Guarded by the transport's lock.
  [[nodiscard]] bool write_through() const { return write_through_; }

 private:
  struct Outcome {
    uint8_t status;
    uint64_t written;  // bytes written to the front of the chain's writable part, the status byte not counted
  };

  // Carries out one chain and writes its status. Returns the used length; nothing if the chain has no room for header
  // or status. Adds what it cost to `cost`.
  std::optional<uint32_t> handle(const DescriptorChain& chain, uint64_t& cost);
  Outcome execute(const virtio_blk_outhdr& header, const DescriptorChain& chain, uint64_t& cost);
  Outcome transfer_in(uint64_t sector, const DescriptorChain& chain, uint64_t bytes);
  Outcome transfer_out(uint64_t sector, const DescriptorChain& chain, uint64_t bytes);
  Outcome flush();
  Outcome get_id(const DescriptorChain& chain, uint64_t bytes);
  [[nodiscard]] bool in_range(uint64_t sector, uint64_t bytes) const;

  DiskImage image_;
  std::string id_;
  virtio_blk_config config_{};
  bool write_through_ = true;   // until a driver takes F_FLUSH; guarded by the transport's lock
  std::vector<iovec> scratch_;  // the data part of the request in hand; likewise

  std::atomic<uint64_t> reads_{0};  // all relaxed: statistics
  std::atomic<uint64_t> writes_{0};
  std::atomic<uint64_t> flushes_{0};
  std::atomic<uint64_t> read_bytes_{0};
  std::atomic<uint64_t> written_bytes_{0};
  std::atomic<uint64_t> failures_{0};
};

}  // namespace twofold
