#include "tests/support/virtio_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <array>
#include <atomic>
#include <cstring>

namespace twofold::testing {

DriverQueue::DriverQueue(const GuestMemory& memory, Gpa base, uint16_t size, uint64_t features)
    : memory_(&memory), event_idx_((features >> VIRTIO_RING_F_EVENT_IDX & 1) != 0), chains_(size) {
  const Gpa available = base + sizeof(vring_desc) * size;
  const Gpa used{align_up(available.value + 6 + 2 * uint64_t{size}, VRING_USED_ALIGN_SIZE)};
  layout_ = {size, base, available, used};
  end_ = Gpa{align_up(used.value + 6 + sizeof(vring_used_elem) * size, VRING_DESC_ALIGN_SIZE)};
  for (uint16_t i = size; i > 0; --i) free_.push_back(static_cast<uint16_t>(i - 1));
}

uint16_t& DriverQueue::u16(Gpa gpa) const {
  return *reinterpret_cast<uint16_t*>(memory_->at(gpa, sizeof(uint16_t)).data());
}

std::optional<uint16_t> DriverQueue::add(std::span<const Segment> segments) {
  if (segments.size() > free_.size()) return std::nullopt;
  std::vector<uint16_t> chain;
  for (size_t i = 0; i < segments.size(); ++i) {
    chain.push_back(free_.back());
    free_.pop_back();
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    const int flags = (segments[i].device_writes ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
    write_descriptor(chain[i], {segments[i].gpa.value, segments[i].bytes, static_cast<uint16_t>(flags),
                                last ? uint16_t{0} : chain[i + 1]});
  }
  const uint16_t head = chain.front();
  chains_[head] = std::move(chain);
  put_in_ring(head);
  return head;
}

std::optional<uint16_t> DriverQueue::add_indirect(std::span<const Segment> segments, Gpa table) {
  if (free_.empty()) return std::nullopt;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    const int flags = (segments[i].device_writes ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
    const vring_desc descriptor = {segments[i].gpa.value, segments[i].bytes, static_cast<uint16_t>(flags),
                                   static_cast<uint16_t>(i + 1)};
    if (!memory_->write(table + sizeof descriptor * i, descriptor)) return std::nullopt;
  }
  const uint16_t head = free_.back();
  free_.pop_back();
  write_descriptor(
      head, {table.value, static_cast<uint32_t>(sizeof(vring_desc) * segments.size()), VRING_DESC_F_INDIRECT, 0});
  chains_[head] = {head};
  put_in_ring(head);
  return head;
}

void DriverQueue::put_in_ring(uint16_t head) {
  write_ring(next_available_ % layout_.size, head);
  ++next_available_;
}

void DriverQueue::publish() {
  published_ = next_available_;
  write_available_index(published_);
}

bool DriverQueue::wants_notification() {
  const uint16_t before = std::exchange(notified_, published_);
  if (event_idx_) return vring_need_event(avail_event(), published_, before) != 0;
  return (used_flags() & VRING_USED_F_NO_NOTIFY) == 0;
}

std::optional<vring_used_elem> DriverQueue::take_used() {
  if (used_index() == next_used_) return std::nullopt;
  const auto element =
      memory_->read<vring_used_elem>(layout_.used + 4 + sizeof(vring_used_elem) * (next_used_ % layout_.size));
  ++next_used_;
  if (event_idx_) set_used_event(next_used_);
  if (element->id < chains_.size()) {
    for (const uint16_t descriptor : chains_[element->id]) free_.push_back(descriptor);
    chains_[element->id].clear();
  }
  return element;
}

// The driver's ends of the pairs that split_queue.cc names: all sequentially consistent.

void DriverQueue::set_no_interrupt(bool on) const {
  std::atomic_ref(u16(layout_.available)).store(on ? VRING_AVAIL_F_NO_INTERRUPT : 0);
}

void DriverQueue::set_used_event(uint16_t index) const {
  std::atomic_ref(u16(layout_.available + 4 + 2 * uint64_t{layout_.size})).store(index);
}

void DriverQueue::write_available_index(uint16_t index) const {
  std::atomic_ref(u16(layout_.available + 2)).store(index);
}

uint16_t DriverQueue::used_index() const {
  return std::atomic_ref(u16(layout_.used + 2)).load();
}

uint16_t DriverQueue::used_flags() const {
  return std::atomic_ref(u16(layout_.used)).load();
}

uint16_t DriverQueue::avail_event() const {
  return std::atomic_ref(u16(layout_.used + 4 + sizeof(vring_used_elem) * layout_.size)).load();
}

void DriverQueue::write_descriptor(uint16_t index, const vring_desc& descriptor) const {
  (void)memory_->write(layout_.descriptors + sizeof descriptor * index, descriptor);
}

void DriverQueue::write_ring(uint16_t slot, uint16_t head) const {
  (void)memory_->write(layout_.available + 4 + sizeof head * slot, head);
}

uint32_t MmioDriver::read(uint64_t offset) const {
  uint32_t value = 0;
  device_.read(offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void MmioDriver::write(uint64_t offset, uint32_t value) const {
  device_.write(offset, std::as_bytes(std::span(&value, 1)));
}

uint64_t MmioDriver::offered_features() const {
  write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
  const uint64_t high = read(VIRTIO_MMIO_DEVICE_FEATURES);
  write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
  return high << 32 | read(VIRTIO_MMIO_DEVICE_FEATURES);
}

void MmioDriver::write_features(uint64_t features) const {
  for (const uint32_t half : {0, 1}) {
    write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
    write(VIRTIO_MMIO_DRIVER_FEATURES, static_cast<uint32_t>(features >> (32 * half)));
  }
}

bool MmioDriver::negotiate(uint64_t features) const {
  write(VIRTIO_MMIO_STATUS, 0);
  set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
  set_status(VIRTIO_CONFIG_S_DRIVER);
  write_features(features);
  set_status(VIRTIO_CONFIG_S_FEATURES_OK);
  return (read(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
}

bool MmioDriver::start_queue(uint32_t index, const QueueLayout& layout) const {
  write(VIRTIO_MMIO_QUEUE_SEL, index);
  write(VIRTIO_MMIO_QUEUE_NUM, layout.size);
  write(VIRTIO_MMIO_QUEUE_DESC_LOW, static_cast<uint32_t>(layout.descriptors.value));
  write(VIRTIO_MMIO_QUEUE_DESC_HIGH, static_cast<uint32_t>(layout.descriptors.value >> 32));
  write(VIRTIO_MMIO_QUEUE_AVAIL_LOW, static_cast<uint32_t>(layout.available.value));
  write(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, static_cast<uint32_t>(layout.available.value >> 32));
  write(VIRTIO_MMIO_QUEUE_USED_LOW, static_cast<uint32_t>(layout.used.value));
  write(VIRTIO_MMIO_QUEUE_USED_HIGH, static_cast<uint32_t>(layout.used.value >> 32));
  write(VIRTIO_MMIO_QUEUE_READY, 1);
  return read(VIRTIO_MMIO_QUEUE_READY) == 1;
}

void MmioDriver::set_status(uint32_t bits) const {
  write(VIRTIO_MMIO_STATUS, read(VIRTIO_MMIO_STATUS) | bits);
}

void MmioDriver::driver_ok() const {
  set_status(VIRTIO_CONFIG_S_DRIVER_OK);
}

void MmioDriver::notify(uint32_t queue) const {
  write(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

}  // namespace twofold::testing
