#include "guest/kernel/virtio_mmio.h"

#include "guest/kernel/cmdline.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"
#include "guest/kernel/virtqueue.h"

namespace twofold::kernel {
namespace {

// virtio 1.2, 4.2.2: byte offsets.
constexpr uint32_t kMagicValue = 0x000;
constexpr uint32_t kVersion = 0x004;
constexpr uint32_t kDeviceId = 0x008;
constexpr uint32_t kDeviceFeatures = 0x010;
constexpr uint32_t kDeviceFeaturesSel = 0x014;
constexpr uint32_t kDriverFeatures = 0x020;
constexpr uint32_t kDriverFeaturesSel = 0x024;
constexpr uint32_t kQueueSel = 0x030;
constexpr uint32_t kQueueNumMax = 0x034;
constexpr uint32_t kQueueNum = 0x038;
constexpr uint32_t kQueueReady = 0x044;
constexpr uint32_t kQueueNotify = 0x050;
constexpr uint32_t kInterruptStatus = 0x060;
constexpr uint32_t kInterruptAck = 0x064;
constexpr uint32_t kStatus = 0x070;
constexpr uint32_t kQueueDesc = 0x080;
constexpr uint32_t kQueueDriver = 0x090;
constexpr uint32_t kQueueDevice = 0x0a0;
constexpr uint32_t kConfig = 0x100;

constexpr uint32_t kMagic = 0x74726976;  // "virt"
constexpr uint64_t kVersion1 = 1ull << 32;

// 2.1
constexpr uint32_t kAcknowledge = 1;
constexpr uint32_t kDriver = 2;
constexpr uint32_t kDriverOk = 4;
constexpr uint32_t kFeaturesOk = 8;
constexpr uint32_t kFailed = 128;

// Reads a number, decimal or 0x…, and moves past it; false if there is none.
bool read_number(const char** text, const char* end, uint32_t* value) {
  uint32_t base = 10;
  if (end - *text > 2 && (*text)[0] == '0' && (*text)[1] == 'x') {
    base = 16;
    *text += 2;
  }
  const char* const start = *text;
  *value = 0;
  for (; *text < end; ++*text) {
    const char c = **text;
    uint32_t digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<uint32_t>(c - '0');
    if (base == 16 && c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a') + 10;
    if (digit >= base) break;
    *value = *value * base + digit;
  }
  return *text > start;
}

bool skip(const char** text, const char* end, char wanted) {
  if (*text == end || **text != wanted) return false;
  ++*text;
  return true;
}

// SIZE[K]@ADDRESS:IRQ
bool read_announcement(const cmdline::Option& option, uint32_t* size, PhysAddr* address, uint32_t* irq) {
  const char* text = option.value;
  const char* const end = option.value + option.value_length;
  if (!read_number(&text, end, size)) return false;
  if (skip(&text, end, 'K')) *size <<= 10;
  return skip(&text, end, '@') && read_number(&text, end, address) && skip(&text, end, ':') &&
         read_number(&text, end, irq);
}

}  // namespace

volatile uint32_t& VirtioMmio::reg(uint32_t offset) const {
  return *reinterpret_cast<volatile uint32_t*>(registers_ + offset);
}

bool VirtioMmio::find(uint32_t* position) {
  cmdline::Option option;
  while (cmdline::next(position, &option)) {
    if (!equals_span("virtio_mmio.device", option.name, option.name_length)) continue;
    uint32_t size = 0;
    if (!read_announcement(option, &size, &address_, &irq_) || size <= kConfig || size > kPageSize ||
        address_ % sizeof(uint32_t) != 0) {
      kprintf("virtio: cannot make sense of a virtio_mmio.device=… on the command line\n");
      continue;
    }
    registers_ = paging::map_device(address_, size);
    const bool usable = reg(kMagicValue) == kMagic && reg(kVersion) == 2;
    device_id_ = usable ? reg(kDeviceId) : 0;
    if (!usable) {
      kprintf("virtio: no modern device at 0x%x (version %u; QEMU wants -global virtio-mmio.force-legacy=false)\n",
              address_, reg(kVersion));
    }
    return true;
  }
  return false;
}

void VirtioMmio::add_status(uint32_t bits) {
  reg(kStatus) = reg(kStatus) | bits;
}

// 3.1.1
bool VirtioMmio::negotiate(uint64_t features) {
  reg(kStatus) = 0;
  while (reg(kStatus) != 0) {
  }
  add_status(kAcknowledge);
  add_status(kDriver);
  reg(kDeviceFeaturesSel) = 0;
  uint64_t offered = reg(kDeviceFeatures);
  reg(kDeviceFeaturesSel) = 1;
  offered |= static_cast<uint64_t>(reg(kDeviceFeatures)) << 32;
  features_ = (features | kVersion1) & offered;
  reg(kDriverFeaturesSel) = 0;
  reg(kDriverFeatures) = static_cast<uint32_t>(features_);
  reg(kDriverFeaturesSel) = 1;
  reg(kDriverFeatures) = static_cast<uint32_t>(features_ >> 32);
  add_status(kFeaturesOk);
  if ((features_ & kVersion1) != 0 && (reg(kStatus) & kFeaturesOk) != 0) return true;
  give_up();
  return false;
}

bool VirtioMmio::set_up_queue(uint32_t index, Virtqueue* queue) {
  reg(kQueueSel) = index;
  const uint32_t largest = reg(kQueueNumMax);
  if (largest == 0 || !queue->init(min(largest, Virtqueue::kMaxSize))) return false;
  reg(kQueueNum) = queue->size();
  reg(kQueueDesc) = queue->descriptors();  // all of ours lies below 4 GiB: the high halves stay zero
  reg(kQueueDesc + 4) = 0;
  reg(kQueueDriver) = queue->available();
  reg(kQueueDriver + 4) = 0;
  reg(kQueueDevice) = queue->used();
  reg(kQueueDevice + 4) = 0;
  reg(kQueueReady) = 1;
  return true;
}

void VirtioMmio::start() {
  add_status(kDriverOk);
}
void VirtioMmio::give_up() {
  add_status(kFailed);
}

uint32_t VirtioMmio::read_config(uint32_t offset) const {
  return reg(kConfig + offset);
}

void VirtioMmio::write_config(uint32_t offset, uint32_t value) {
  reg(kConfig + offset) = value;
}

void VirtioMmio::notify(uint32_t queue_index) {
  reg(kQueueNotify) = queue_index;
}

uint32_t VirtioMmio::take_interrupt() {
  const uint32_t status = reg(kInterruptStatus);
  if (status != 0) reg(kInterruptAck) = status;
  return status;
}

}  // namespace twofold::kernel
