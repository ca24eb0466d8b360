#include "vmm/virtio/mmio_transport.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/log.h"

namespace twofold {

namespace {

constexpr uint32_t kMagic = 0x74726976;   // "virt"
constexpr uint32_t kVendor = 0x464f5754;  // "TWOF"
constexpr uint32_t kVersion = 2;
constexpr uint32_t kOnes = 0xffffffff;
constexpr uint64_t kMaxLoggedErrors = 8;

constexpr uint64_t kTransportFeatures =
    uint64_t{1} << VIRTIO_F_VERSION_1 | 1u << VIRTIO_RING_F_INDIRECT_DESC | 1u << VIRTIO_RING_F_EVENT_IDX;

// §3.1.1: each step needs the one before it.
constexpr std::array<uint32_t, 4> kHandshake = {VIRTIO_CONFIG_S_ACKNOWLEDGE, VIRTIO_CONFIG_S_DRIVER,
                                                VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_DRIVER_OK};
constexpr uint32_t kDriverBits = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
                                 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;

constexpr bool is_register(uint64_t offset, size_t width) {
  return width == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0;
}

// Half of a 64-bit value as a driver sees it through a selector: 0 the low half, 1 the high one, and nothing beyond.
constexpr uint32_t half(uint64_t value, uint32_t selector) {
  return selector > 1 ? 0 : static_cast<uint32_t>(value >> (32 * selector));
}
constexpr void set_half(uint64_t& value, uint32_t selector, uint32_t bits) {
  const unsigned shift = 32 * selector;
  value = (value & ~(uint64_t{kOnes} << shift)) | uint64_t{bits} << shift;
}

}  // namespace

MmioTransport::MmioTransport(VirtioDevice& device, const GuestMemory& memory, Interrupt& interrupt)
    : device_(device), memory_(memory), interrupt_(interrupt), offered_(device.features() | kTransportFeatures) {
  for (const uint16_t max_size : device.queue_sizes()) queues_.push_back(QueueSlot{.max_size = max_size, .queue = {}});
}

void MmioTransport::read(uint64_t offset, std::span<std::byte> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) {
    const std::lock_guard lock(mutex_);
    device_.read_config(offset - VIRTIO_MMIO_CONFIG, data);
    return;
  }
  std::ranges::fill(data, std::byte{0xff});
  if (!is_register(offset, data.size())) return driver_error("read a register with a width other than 32 bits");
  uint32_t value = 0;
  if (offset == VIRTIO_MMIO_INTERRUPT_STATUS) {
    value = interrupt_status_.load();
  } else {
    const std::lock_guard lock(mutex_);
    value = read_register(offset);
  }
  std::memcpy(data.data(), &value, sizeof value);
}

void MmioTransport::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) {
    const std::lock_guard lock(mutex_);
    device_.write_config(offset - VIRTIO_MMIO_CONFIG, data);
    return;
  }
  if (!is_register(offset, data.size())) return driver_error("wrote a register with a width other than 32 bits");
  uint32_t value = 0;
  std::memcpy(&value, data.data(), sizeof value);
  if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
    interrupt_status_.fetch_and(~value);
  } else if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
    // This vCPU does the work itself. It ends: only other vCPUs could add more, and those stop when asked to.
    while (notify(value)) {
    }
  } else {
    const std::lock_guard lock(mutex_);
    write_register(offset, value);
  }
}

uint32_t MmioTransport::read_register(uint64_t offset) {
  const QueueSlot* slot = selected();
  switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
      return kMagic;
    case VIRTIO_MMIO_VERSION:
      return kVersion;
    case VIRTIO_MMIO_DEVICE_ID:
      return device_.device_id();
    case VIRTIO_MMIO_VENDOR_ID:
      return kVendor;
    case VIRTIO_MMIO_DEVICE_FEATURES:
      return half(offered_, device_features_sel_);
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
      return slot != nullptr ? slot->max_size : 0;
    case VIRTIO_MMIO_QUEUE_READY:
      return slot != nullptr && slot->queue.ready() ? 1 : 0;
    case VIRTIO_MMIO_STATUS:
      return status_;
    case VIRTIO_MMIO_CONFIG_GENERATION:
      return config_generation_;
    // No shared memory regions: a length of all ones says so (§4.2.2.1).
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
      return kOnes;
    default:
      driver_error("read a register that is not there, or is for writing only");
      return kOnes;
  }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
      device_features_sel_ = value;
      break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
      driver_features_sel_ = value;
      break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
      write_driver_features(value);
      break;
    case VIRTIO_MMIO_QUEUE_SEL:
      queue_sel_ = value;
      break;
    case VIRTIO_MMIO_QUEUE_READY:
      write_queue_ready(value);
      break;
    case VIRTIO_MMIO_STATUS:
      write_status(value);
      break;
    case VIRTIO_MMIO_SHM_SEL:
      break;
    default:
      write_queue_register(offset, value);
      break;
  }
}

void MmioTransport::write_queue_register(uint64_t offset, uint32_t value) {
  QueueSlot* slot = selected();
  if (slot == nullptr) return driver_error("set up a queue that the device does not have");
  if (slot->queue.ready()) return driver_error("changed a queue that is in use");
  switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
      slot->size = value;
      break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
      set_half(slot->descriptors, 0, value);
      break;
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
      set_half(slot->descriptors, 1, value);
      break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
      set_half(slot->available, 0, value);
      break;
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
      set_half(slot->available, 1, value);
      break;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
      set_half(slot->used, 0, value);
      break;
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
      set_half(slot->used, 1, value);
      break;
    default:
      driver_error("wrote a register that is not there, or is for reading only");
      break;
  }
}

void MmioTransport::write_driver_features(uint32_t value) {
  const bool time_for_it = (status_ & VIRTIO_CONFIG_S_DRIVER) != 0 && (status_ & VIRTIO_CONFIG_S_FEATURES_OK) == 0;
  if (!time_for_it) return driver_error("wrote features outside of their negotiation");
  if (driver_features_sel_ <= 1) {
    set_half(accepted_, driver_features_sel_, value);
  } else if (value != 0) {
    driver_error("took features that have no bits");
  }
}

void MmioTransport::write_queue_ready(uint32_t value) {
  QueueSlot* slot = selected();
  if (slot == nullptr) return driver_error("set up a queue that the device does not have");
  if (value != 1) return slot->queue.stop();
  if ((status_ & VIRTIO_CONFIG_S_FEATURES_OK) == 0) return driver_error("started a queue before FEATURES_OK");
  if (slot->queue.ready()) return;
  if (slot->size > slot->max_size) return driver_error("started a queue larger than the device's");
  const QueueLayout layout = {static_cast<uint16_t>(slot->size), Gpa{slot->descriptors}, Gpa{slot->available},
                              Gpa{slot->used}};
  if (!slot->queue.start(memory_, layout, slot->max_size, accepted_)) {
    driver_error("started a queue whose size, alignment or place is wrong");
  }
}

void MmioTransport::write_status(uint32_t value) {
  if (value == 0) return reset();
  if ((status_ & kDriverBits & ~value) != 0) return driver_error("cleared a status bit without a reset");
  status_ |= value & VIRTIO_CONFIG_S_FAILED;

  uint32_t before = 0;  // the step that has to be taken already
  for (const uint32_t step : kHandshake) {
    const bool fresh = (value & step) != 0 && (status_ & step) == 0;
    if (fresh && (status_ & before) != before) return driver_error("left out a step of the handshake");
    if (fresh && step == VIRTIO_CONFIG_S_FEATURES_OK && !features_acceptable()) {
      return driver_error("took features that were not offered, or not VERSION_1");
    }
    if (fresh) status_ |= step;
    if (fresh && step == VIRTIO_CONFIG_S_DRIVER_OK) device_.activate(accepted_);
    before = step;
  }
}

bool MmioTransport::features_acceptable() const {
  const bool modern = (accepted_ >> VIRTIO_F_VERSION_1 & 1) != 0;
  return modern && (accepted_ & ~offered_) == 0;
}

void MmioTransport::reset() {
  device_.reset();
  for (QueueSlot& slot : queues_) {
    slot.queue.stop();
    slot.size = 0;
    slot.descriptors = slot.available = slot.used = 0;
  }
  status_ = 0;
  accepted_ = 0;
  device_features_sel_ = driver_features_sel_ = queue_sel_ = 0;
  interrupt_status_.store(0);
}

MmioTransport::QueueSlot* MmioTransport::selected() {
  return queue_sel_ < queues_.size() ? &queues_[queue_sel_] : nullptr;
}

bool MmioTransport::is_live_locked(uint32_t queue) const {
  constexpr uint32_t kBad = VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;
  const bool live = (status_ & VIRTIO_CONFIG_S_DRIVER_OK) != 0 && (status_ & kBad) == 0;
  return live && queue < queues_.size() && queues_[queue].queue.ready();
}

bool MmioTransport::is_live(uint32_t queue) {
  const std::lock_guard lock(mutex_);
  return is_live_locked(queue);
}

void MmioTransport::with_lock(const std::function<void()>& action) {
  const std::lock_guard lock(mutex_);
  action();
}

bool MmioTransport::notify(uint32_t queue) {
  const std::lock_guard lock(mutex_);
  if ((status_ & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) return false;
  if (!is_live_locked(queue)) {
    driver_error("notified a queue that is not in use");
    return false;
  }
  notifications_.fetch_add(1, std::memory_order_relaxed);
  SplitQueue& ring = queues_[queue].queue;
  const bool more = device_.process_queue(queue, ring);
  if (ring.publish()) raise(VIRTIO_MMIO_INT_VRING);
  if (!ring.broken()) return more;
  needs_reset(queue);
  return false;
}

void MmioTransport::update_config(const std::function<void()>& change) {
  const std::lock_guard lock(mutex_);
  change();
  ++config_generation_;
  if ((status_ & VIRTIO_CONFIG_S_DRIVER_OK) != 0) raise(VIRTIO_MMIO_INT_CONFIG);
}

void MmioTransport::needs_reset(uint32_t queue) {
  // §2.1.2: the bit, and a configuration change that makes the driver look.
  status_ |= VIRTIO_CONFIG_S_NEEDS_RESET;
  const uint64_t times = broken_queues_.fetch_add(1, std::memory_order_relaxed);
  if (times < kMaxLoggedErrors) {
    spdlog::warn("{}: the driver {} (queue {}); the device needs a reset", device_.name(),
                 queues_[queue].queue.broken_reason(), queue);
  }
  raise(VIRTIO_MMIO_INT_CONFIG);
}

void MmioTransport::driver_error(const char* what) {
  const uint64_t times = driver_errors_.fetch_add(1, std::memory_order_relaxed);
  if (times < kMaxLoggedErrors) spdlog::warn("{}: the driver {}", device_.name(), what);
}

void MmioTransport::raise(uint32_t cause) {
  interrupt_status_.fetch_or(cause);
  interrupts_.fetch_add(1, std::memory_order_relaxed);
  interrupt_.trigger();
}

VirtioStats MmioTransport::stats() const {
  return {notifications_.load(std::memory_order_relaxed), interrupts_.load(std::memory_order_relaxed),
          driver_errors_.load(std::memory_order_relaxed), broken_queues_.load(std::memory_order_relaxed)};
}

}  // namespace twofold
