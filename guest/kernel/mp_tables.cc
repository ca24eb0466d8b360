#include "guest/kernel/mp_tables.h"

#include "guest/kernel/firmware_tables.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/string.h"

namespace twofold::kernel {
namespace {

struct [[gnu::packed]] FloatingPointer {
  char signature[4];  // "_MP_"
  uint32_t table;
  uint8_t length;  // in 16 bytes
  uint8_t revision;
  uint8_t checksum;
  uint8_t features[5];  // [0]: number of a default configuration, which has no table
};
static_assert(sizeof(FloatingPointer) == 16);

struct [[gnu::packed]] ConfigurationHeader {
  char signature[4];  // "PCMP"
  uint16_t length;
  uint8_t revision;
  uint8_t checksum;
  char ids[20];
  uint32_t oem_table;
  uint16_t oem_size;
  uint16_t entry_count;
  uint32_t lapic;
  uint32_t extended;
};
static_assert(sizeof(ConfigurationHeader) == 44);

enum EntryType : uint8_t { kProcessor, kBus, kIoApic, kIoInterrupt, kLocalInterrupt };
constexpr uint8_t kEnabled = 1;
constexpr uint16_t kMaxTable = 4096;
constexpr uint32_t kBiosArea = 0xf0000;
constexpr uint32_t kBiosAreaSize = 0x10000;
constexpr uint32_t kBdaEbdaSegment = 0x40e;
constexpr uint32_t kLastKibOfBaseMemory = 639 * 1024;

bool sums_to_zero(const uint8_t* bytes, uint32_t count) {
  uint8_t sum = 0;
  for (uint32_t i = 0; i < count; ++i) sum = static_cast<uint8_t>(sum + bytes[i]);
  return sum == 0;
}

// All three places lie below 1 MiB, which is always mapped.
const FloatingPointer* search(PhysAddr start, uint32_t size) {
  for (PhysAddr address = start; address < start + size; address += sizeof(FloatingPointer)) {
    const uint8_t* const bytes = to_virtual(address);
    if (memcmp(bytes, "_MP_", 4) == 0 && sums_to_zero(bytes, sizeof(FloatingPointer))) {
      return reinterpret_cast<const FloatingPointer*>(bytes);
    }
  }
  return nullptr;
}

const FloatingPointer* find_floating_pointer() {
  uint16_t segment;
  memcpy(&segment, to_virtual(kBdaEbdaSegment), sizeof(segment));
  const PhysAddr ebda = static_cast<PhysAddr>(segment) << 4;
  const FloatingPointer* found = nullptr;
  if (ebda >= 0x80000 && ebda < 0xa0000) found = search(ebda, 1024);
  if (found == nullptr) found = search(kLastKibOfBaseMemory, 1024);
  if (found == nullptr) found = search(kBiosArea, kBiosAreaSize);
  return found;
}

uint16_t read16(const uint8_t* bytes) {
  return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
}

uint32_t read32(const uint8_t* bytes) {
  return read16(bytes) | static_cast<uint32_t>(read16(bytes + 2)) << 16;
}

// 4.3.4: polarity in bits 0-1, trigger mode in bits 2-3; ISA's defaults are active high and edge.
IsaInterrupt read_interrupt(const uint8_t* entry) {
  const uint16_t flags = read16(entry + 2);
  return {entry[7], (flags & 3) == 3, (flags >> 2 & 3) == 3};
}

struct Reader {
  Platform* platform;
  int32_t isa_bus;

  void read_entry(const uint8_t* entry) {
    switch (entry[0]) {
      case kProcessor:
        if ((entry[3] & kEnabled) != 0 && platform->cpu_count < kMaxCpus) {
          platform->apic_ids[platform->cpu_count++] = entry[1];
        }
        return;
      case kBus:
        if (memcmp(entry + 2, "ISA", 3) == 0) isa_bus = entry[1];
        return;
      case kIoApic:
        if ((entry[3] & kEnabled) != 0) platform->ioapic = read32(entry + 4);
        return;
      case kIoInterrupt:  // type 0: an ordinary vectored interrupt
        if (entry[1] == 0 && entry[4] == isa_bus && entry[5] < Platform::kIsaInterrupts) {
          platform->isa[entry[5]] = read_interrupt(entry);
        }
        return;
      default:
        return;
    }
  }
};

}  // namespace

bool read_mp_tables(Platform* platform) {
  const FloatingPointer* const pointer = find_floating_pointer();
  if (pointer == nullptr || pointer->table == 0) return false;
  ConfigurationHeader header;
  paging::phys_copy(&header, pointer->table, sizeof(header));
  // The table lies in the first MiB too, on every machine that has one.
  if (memcmp(header.signature, "PCMP", 4) != 0 || header.length < sizeof(header) || header.length > kMaxTable ||
      pointer->table > kLowMemoryEnd - kMaxTable) {
    return false;
  }
  const uint8_t* const table = to_virtual(pointer->table);
  if (!sums_to_zero(table, header.length)) return false;

  platform->lapic = header.lapic;
  Reader reader{platform, -1};
  uint32_t offset = sizeof(header);
  for (uint32_t i = 0; i < header.entry_count; ++i) {
    const uint32_t size = offset < header.length && table[offset] == kProcessor ? 20 : 8;
    if (offset + size > header.length) break;
    reader.read_entry(table + offset);
    offset += size;
  }
  return true;
}

}  // namespace twofold::kernel
