#include "vmm/virtio/split_queue.h"

#include <linux/virtio_ring.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <limits>

namespace twofold {

namespace {

static_assert(std::endian::native == std::endian::little, "rings are little endian, and are read as they stand");

// §2.7.6, §2.7.8: `flags` and `idx` head both rings; one more le16, the other side's event index, ends each.
constexpr size_t kFlagsOffset = 0;
constexpr size_t kIndexOffset = 2;
constexpr size_t kRingOffset = 4;

constexpr size_t available_bytes(size_t size) {
  return kRingOffset + 2 * size + 2;
}
constexpr size_t used_bytes(size_t size) {
  return kRingOffset + sizeof(vring_used_elem) * size + 2;
}
constexpr size_t used_event_offset(size_t size) {
  return kRingOffset + 2 * size;
}
constexpr size_t avail_event_offset(size_t size) {
  return kRingOffset + sizeof(vring_used_elem) * size;
}

uint16_t& u16_at(std::span<std::byte> ring, size_t offset) {
  return *reinterpret_cast<uint16_t*>(ring.data() + offset);
}

}  // namespace

bool SplitQueue::start(const GuestMemory& memory, const QueueLayout& layout, uint16_t max_size, uint64_t features) {
  stop();
  if (!std::has_single_bit(layout.size) || layout.size > max_size) return false;
  const auto misaligned = [](Gpa gpa, uint64_t alignment) { return gpa.value % alignment != 0; };
  if (misaligned(layout.descriptors, VRING_DESC_ALIGN_SIZE) || misaligned(layout.available, VRING_AVAIL_ALIGN_SIZE) ||
      misaligned(layout.used, VRING_USED_ALIGN_SIZE)) {
    return false;
  }
  // RAM is mapped once, for good, and page-aligned: these spans stay valid and keep the alignment.
  descriptors_ = memory.at(layout.descriptors, sizeof(vring_desc) * layout.size);
  available_ = memory.at(layout.available, available_bytes(layout.size));
  used_ = memory.at(layout.used, used_bytes(layout.size));
  if (descriptors_.empty() || available_.empty() || used_.empty()) return false;

  memory_ = &memory;
  size_ = layout.size;
  event_idx_ = (features >> VIRTIO_RING_F_EVENT_IDX & 1) != 0;
  indirect_ = (features >> VIRTIO_RING_F_INDIRECT_DESC & 1) != 0;
  buffers_.reserve(size_);
  return true;
}

void SplitQueue::stop() {
  size_ = 0;
  broken_ = nullptr;
  next_available_ = seen_available_ = 0;
  next_used_ = published_used_ = 0;
  buffers_.clear();
}

void SplitQueue::set_broken(const char* reason) {
  if (broken_ == nullptr) broken_ = reason;
}

bool SplitQueue::refuse(const char* reason) {
  set_broken(reason);
  return false;
}

// The driver's indices, flags and events are read, and ours written, with sequentially consistent atomics. Three pairs:
//  (1) avail->idx: the driver's store-release after it filled descriptors and ring; our load acquires them.
//  (2) used->idx: our store releases the used elements and the data; the driver's load-acquire takes them.
//  (3) store-then-load on both sides: we store used->idx, then load its flags or used_event, while it stores those,
//  then
//      loads used->idx; likewise avail_event against avail->idx. One of the two sees the other's store, so no interrupt
//      and no notification is lost. This is what acquire and release alone would not give.
uint16_t SplitQueue::load_avail(size_t offset) const {
  return std::atomic_ref(u16_at(available_, offset)).load(std::memory_order_seq_cst);
}

void SplitQueue::store_used(size_t offset, uint16_t value) const {
  std::atomic_ref(u16_at(used_, offset)).store(value, std::memory_order_seq_cst);
}

bool SplitQueue::has_available() {
  if (broken()) return false;
  if (seen_available_ == next_available_) {
    seen_available_ = load_avail(kIndexOffset);  // pair (1)
    const auto ahead = static_cast<uint16_t>(seen_available_ - next_available_);
    if (ahead > size_) return refuse("made more chains available than the queue has entries");
  }
  return seen_available_ != next_available_;
}

std::optional<DescriptorChain> SplitQueue::pop() {
  if (!has_available()) return std::nullopt;
  uint16_t head = 0;
  std::memcpy(&head, available_.data() + kRingOffset + sizeof head * (next_available_ % size_), sizeof head);
  ++next_available_;
  if (!collect(head)) return std::nullopt;
  const std::span<const iovec> all(buffers_);
  return DescriptorChain{head, all.first(readable_buffers_), all.subspan(readable_buffers_)};
}

bool SplitQueue::collect(uint16_t head) {
  buffers_.clear();
  readable_buffers_ = 0;
  chain_bytes_ = 0;
  return walk(descriptors_, size_, head, /*indirect=*/false);
}

bool SplitQueue::walk(std::span<const std::byte> table, uint32_t entries, uint32_t first, bool indirect) {
  uint32_t index = first;
  // A chain longer than the queue is against §2.7.5.3.1; it also is what a loop looks like.
  for (uint32_t steps = 0; steps < size_; ++steps) {
    if (index >= entries) return refuse("named a descriptor beyond the table");
    vring_desc descriptor;
    std::memcpy(&descriptor, table.data() + sizeof descriptor * index, sizeof descriptor);

    const bool more = (descriptor.flags & VRING_DESC_F_NEXT) != 0;
    if ((descriptor.flags & VRING_DESC_F_INDIRECT) != 0) {
      // §2.7.5.3: only if negotiated, not nested, not with NEXT, whole entries.
      if (!indirect_ || indirect || more) return refuse("used an indirect descriptor where there can be none");
      const auto inner = memory_->at(Gpa{descriptor.addr}, descriptor.len);
      if (inner.empty() || inner.size() % sizeof(vring_desc) != 0) return refuse("gave an indirect table outside RAM");
      return walk(inner, static_cast<uint32_t>(inner.size() / sizeof(vring_desc)), 0, /*indirect=*/true);
    }

    const bool writable = (descriptor.flags & VRING_DESC_F_WRITE) != 0;
    if (!add_buffer(descriptor.addr, descriptor.len, writable)) return false;
    if (!more) return true;
    index = descriptor.next;
  }
  return refuse("chained more descriptors than the queue has entries");
}

bool SplitQueue::add_buffer(uint64_t gpa, uint32_t length, bool writable) {
  const bool seen_writable = buffers_.size() > readable_buffers_;
  if (!writable && seen_writable) return refuse("put a device-readable buffer after a writable one");  // §2.7.4.2
  if (buffers_.size() == size_) return refuse("chained more buffers than the queue has entries");
  chain_bytes_ += length;
  if (chain_bytes_ > std::numeric_limits<uint32_t>::max()) return refuse("chained more than 4 GiB");

  const auto bytes = memory_->at(Gpa{gpa}, length);
  if (bytes.empty()) return refuse("gave a buffer that is empty or outside RAM");
  buffers_.push_back({bytes.data(), bytes.size()});
  if (!writable) ++readable_buffers_;
  return true;
}

void SplitQueue::push(uint16_t head, uint32_t written) {
  const vring_used_elem element = {head, written};
  std::memcpy(used_.data() + kRingOffset + sizeof element * (next_used_ % size_), &element, sizeof element);
  ++next_used_;
}

bool SplitQueue::publish() {
  const uint16_t before = published_used_;
  if (next_used_ == before) return false;
  published_used_ = next_used_;
  store_used(kIndexOffset, next_used_);  // pair (2), and the store of pair (3)
  if (event_idx_) return vring_need_event(load_avail(used_event_offset(size_)), next_used_, before) != 0;
  return (load_avail(kFlagsOffset) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
}

void SplitQueue::suppress_notifications() {
  // With EVENT_IDX an avail_event that stands still does it: the driver notifies when it passes that index only.
  if (!event_idx_) store_used(kFlagsOffset, VRING_USED_F_NO_NOTIFY);
}

bool SplitQueue::allow_notifications() {
  if (event_idx_) {
    store_used(avail_event_offset(size_), next_available_);  // pair (3)
  } else {
    store_used(kFlagsOffset, 0);
  }
  return has_available();
}

}  // namespace twofold
