#include "guest/kernel/virtqueue.h"

#include "guest/kernel/frames.h"

namespace twofold::kernel {
namespace {

constexpr uint16_t kNext = 1;      // VIRTQ_DESC_F_NEXT
constexpr uint16_t kWrite = 2;     // VIRTQ_DESC_F_WRITE
constexpr uint16_t kNoNotify = 1;  // VIRTQ_USED_F_NO_NOTIFY

}  // namespace

bool Virtqueue::init(uint32_t size) {
  rings_ = reinterpret_cast<Rings*>(frames::allocate_zeroed(frames::Use::kKernel));
  if (rings_ == nullptr) return false;
  size_ = free_count_ = size;
  for (uint32_t i = 0; i < size; ++i) rings_->descriptors[i].next = static_cast<uint16_t>(i + 1);
  return true;
}

PhysAddr Virtqueue::descriptors() const {
  return to_physical(&rings_->descriptors);
}
PhysAddr Virtqueue::available() const {
  return to_physical(&rings_->available);
}
PhysAddr Virtqueue::used() const {
  return to_physical(&rings_->used);
}

void Virtqueue::add(const Buffer* buffers, uint32_t count, void* token) {
  const uint16_t head = free_head_;
  uint16_t index = head;
  for (uint32_t i = 0; i < count; ++i) {
    index = free_head_;
    Descriptor& descriptor = rings_->descriptors[index];
    free_head_ = descriptor.next;  // which is also where the chain goes on
    descriptor.address = buffers[i].address;
    descriptor.length = buffers[i].length;
    descriptor.flags = static_cast<uint16_t>((buffers[i].device_writes ? kWrite : 0) | (i + 1 < count ? kNext : 0));
  }
  free_count_ -= count;
  tokens_[head] = token;
  rings_->available.ring[available_index_++ % size_] = head;
}

bool Virtqueue::publish() {
  // The ring's entries before the index that shows them: pairs with the device's load of the index.
  __atomic_store_n(&rings_->available.index, available_index_, __ATOMIC_RELEASE);
  // Our store of the index before our load of the flag; the device stores its flag before it loads the index. With less
  // than a full fence on both sides each could miss the other's store.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return (__atomic_load_n(&rings_->used.flags, __ATOMIC_RELAXED) & kNoNotify) == 0;
}

void* Virtqueue::take_used() {
  // Pairs with the device's store of the index, after what it has written.
  if (__atomic_load_n(&rings_->used.index, __ATOMIC_ACQUIRE) == used_index_) return nullptr;
  const uint32_t head = rings_->used.ring[used_index_ % size_].id % size_;
  ++used_index_;
  void* const token = tokens_[head];
  if (token == nullptr) return nullptr;  // the device names a chain that it does not have
  tokens_[head] = nullptr;
  uint32_t last = head;
  ++free_count_;
  while ((rings_->descriptors[last].flags & kNext) != 0) {
    last = rings_->descriptors[last].next;
    ++free_count_;
  }
  rings_->descriptors[last].next = free_head_;
  free_head_ = static_cast<uint16_t>(head);
  return token;
}

}  // namespace twofold::kernel
