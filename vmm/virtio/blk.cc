#include "vmm/virtio/blk.h"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "vmm/virtio/buffers.h"

namespace twofold {

namespace {

constexpr std::array<uint16_t, 1> kQueueSizes = {VirtioBlk::kQueueSize};
constexpr uint64_t kStatusBytes = 1;
constexpr uint64_t kRequestCost = 4096;       // of a batch's budget, besides the bytes moved
constexpr uint64_t kFlushCost = 1024 * 1024;  // a flush may take the medium's time for this much

void count(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace

VirtioBlk::VirtioBlk(DiskImage image, std::string id) : image_(std::move(image)), id_(std::move(id)) {
  config_.capacity = image_.sectors();
  config_.size_max = kSizeMax;
  config_.seg_max = kSegMax;
  config_.blk_size = kSectorBytes;
  config_.num_queues = 1;
  scratch_.reserve(kQueueSize);
}

uint32_t VirtioBlk::device_id() const {
  return VIRTIO_ID_BLOCK;
}

uint64_t VirtioBlk::features() const {
  return 1u << VIRTIO_BLK_F_SIZE_MAX | 1u << VIRTIO_BLK_F_SEG_MAX | 1u << VIRTIO_BLK_F_BLK_SIZE |
         1u << VIRTIO_BLK_F_FLUSH | (image_.read_only() ? 1u << VIRTIO_BLK_F_RO : 0);
}

std::span<const uint16_t> VirtioBlk::queue_sizes() const {
  return kQueueSizes;
}

void VirtioBlk::read_config(uint64_t offset, std::span<std::byte> data) const {
  const auto config = std::as_bytes(std::span(&config_, 1));
  for (std::byte& byte : data) {
    byte = offset < config.size() ? config[offset] : std::byte{0xff};
    ++offset;
  }
}

void VirtioBlk::write_config(uint64_t /*offset*/, std::span<const std::byte> /*data*/) {
  // The only writable field, writeback, belongs to a feature that is not offered.
}

void VirtioBlk::activate(uint64_t features) {
  write_through_ = (features >> VIRTIO_BLK_F_FLUSH & 1) == 0;
}

void VirtioBlk::reset() {
  write_through_ = true;
}

bool VirtioBlk::process_queue(uint32_t /*index*/, SplitQueue& queue) {
  uint64_t cost = 0;
  queue.suppress_notifications();
  do {
    while (cost < kBatchBytes) {
      const auto chain = queue.pop();
      if (!chain) break;
      const auto written = handle(*chain, cost);
      if (written) {
        queue.push(chain->head, *written);
      } else {
        queue.set_broken("sent a disk request without room for its header or status");
      }
    }
    // A batch that was cut short comes back by itself, and wants no notification until then.
  } while (cost < kBatchBytes && queue.allow_notifications());
  return cost >= kBatchBytes;
}

std::optional<uint32_t> VirtioBlk::handle(const DescriptorChain& chain, uint64_t& cost) {
  virtio_blk_outhdr header;
  const uint64_t room = total_bytes(chain.writable);
  if (copy_from(chain.readable, 0, std::as_writable_bytes(std::span(&header, 1))) < sizeof header || room == 0) {
    return std::nullopt;
  }
  cost += kRequestCost;
  const uint64_t data_room = room - kStatusBytes;
  const Outcome outcome = execute(header, chain, cost);
  if (outcome.status != VIRTIO_BLK_S_OK) count(failures_);
  copy_to(chain.writable, data_room, std::as_bytes(std::span(&outcome.status, 1)));  // the very last byte: §5.2.6
  // §2.7.8.2: so many bytes from the front on were written. The status counts if all before it was.
  const uint64_t used = outcome.written == data_room ? room : outcome.written;
  return static_cast<uint32_t>(used);
}

VirtioBlk::Outcome VirtioBlk::execute(const virtio_blk_outhdr& header, const DescriptorChain& chain, uint64_t& cost) {
  const uint64_t in_bytes = total_bytes(chain.writable) - kStatusBytes;
  const uint64_t out_bytes = total_bytes(chain.readable) - sizeof header;
  switch (header.type) {
    case VIRTIO_BLK_T_IN:
      if (!in_range(header.sector, in_bytes)) return {VIRTIO_BLK_S_IOERR, 0};
      cost += in_bytes;
      return transfer_in(header.sector, chain, in_bytes);
    case VIRTIO_BLK_T_OUT:
      if (image_.read_only() || !in_range(header.sector, out_bytes)) return {VIRTIO_BLK_S_IOERR, 0};
      cost += out_bytes + (write_through_ ? kFlushCost : 0);
      return transfer_out(header.sector, chain, out_bytes);
    case VIRTIO_BLK_T_FLUSH:
      cost += kFlushCost;
      return flush();
    case VIRTIO_BLK_T_GET_ID:
      return get_id(chain, in_bytes);
    default:
      return {VIRTIO_BLK_S_UNSUPP, 0};
  }
}

bool VirtioBlk::in_range(uint64_t sector, uint64_t bytes) const {
  if (bytes % kSectorBytes != 0 || bytes > kMaxRequestBytes) return false;
  return sector <= image_.sectors() && bytes / kSectorBytes <= image_.sectors() - sector;
}

VirtioBlk::Outcome VirtioBlk::transfer_in(uint64_t sector, const DescriptorChain& chain, uint64_t bytes) {
  slice(chain.writable, 0, bytes, scratch_);
  const uint64_t moved = image_.read(scratch_, sector * kSectorBytes);
  count(reads_);
  count(read_bytes_, moved);
  return {static_cast<uint8_t>(moved == bytes ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR), moved};
}

VirtioBlk::Outcome VirtioBlk::transfer_out(uint64_t sector, const DescriptorChain& chain, uint64_t bytes) {
  slice(chain.readable, sizeof(virtio_blk_outhdr), bytes, scratch_);
  const uint64_t moved = image_.write(scratch_, sector * kSectorBytes, write_through_);
  count(writes_);
  count(written_bytes_, moved);
  return {static_cast<uint8_t>(moved == bytes ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR), 0};
}

VirtioBlk::Outcome VirtioBlk::flush() {
  count(flushes_);
  return {static_cast<uint8_t>(image_.flush() ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR), 0};
}

VirtioBlk::Outcome VirtioBlk::get_id(const DescriptorChain& chain, uint64_t bytes) {
  std::array<char, VIRTIO_BLK_ID_BYTES> id{};  // padded with zeros, and unterminated if it fills the field
  std::copy_n(id_.begin(), std::min(id_.size(), id.size()), id.begin());
  const uint64_t length = std::min<uint64_t>(bytes, id.size());
  copy_to(chain.writable, 0, std::as_bytes(std::span(id)).first(length));
  return {VIRTIO_BLK_S_OK, length};
}

BlkStats VirtioBlk::stats() const {
  const auto get = [](const std::atomic<uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  return {get(reads_), get(writes_), get(flushes_), get(read_bytes_), get(written_bytes_), get(failures_)};
}

}  // namespace twofold
