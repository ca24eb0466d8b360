#include "guest/kernel/acpi_tables.h"

#include "guest/kernel/boot_info.h"
#include "guest/kernel/firmware_tables.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/string.h"

namespace twofold::kernel {
namespace {

struct [[gnu::packed]] RootPointer {
  char signature[8];  // "RSD PTR "
  uint8_t checksum;
  char oem[6];
  uint8_t revision;
  uint32_t rsdt;
  uint32_t length;
  uint64_t xsdt;  // from revision 2 on
};

struct [[gnu::packed]] TableHeader {
  char signature[4];
  uint32_t length;
  uint8_t revision;
  uint8_t checksum;
  char oem[6];
  char oem_table[8];
  uint32_t oem_revision;
  char creator[4];
  uint32_t creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

enum MadtEntry : uint8_t { kLocalApic = 0, kIoApic = 1, kSourceOverride = 2 };
constexpr uint32_t kMadtFixedSize = 8;  // after the header: LAPIC address, flags
constexpr uint32_t kMaxTable = 64 * 1024;
constexpr PhysAddr kBiosArea = 0xe0000;
constexpr uint32_t kRootAlignment = 16;

uint64_t find_root_pointer() {
  if (boot_info.rsdp != 0) return boot_info.rsdp;
  for (PhysAddr address = kBiosArea; address < kLowMemoryEnd; address += kRootAlignment) {
    if (memcmp(to_virtual(address), "RSD PTR ", 8) == 0) return address;
  }
  return 0;
}

bool read_header(uint64_t address, const char* signature, TableHeader* header) {
  paging::phys_copy(header, address, sizeof(*header));
  return memcmp(header->signature, signature, 4) == 0 && header->length >= sizeof(*header) &&
         header->length <= kMaxTable;
}

// Looks through a root table with entries of `width` bytes.
uint64_t find_madt(uint64_t root, const char* signature, uint32_t width) {
  TableHeader header;
  if (!read_header(root, signature, &header)) return 0;
  for (uint32_t offset = sizeof(header); offset + width <= header.length; offset += width) {
    uint64_t table = 0;
    paging::phys_copy(&table, root + offset, width);
    TableHeader candidate;
    if (read_header(table, "APIC", &candidate)) return table;
  }
  return 0;
}

uint32_t read32(const uint8_t* bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof(value));
  return value;
}

void read_entry(const uint8_t* entry, Platform* platform) {
  switch (entry[0]) {
    case kLocalApic:
      if ((read32(entry + 4) & 1) != 0 && platform->cpu_count < kMaxCpus) {
        platform->apic_ids[platform->cpu_count++] = entry[3];
      }
      return;
    case kIoApic:
      if (read32(entry + 8) == 0) platform->ioapic = read32(entry + 4);  // the one whose lines start at 0
      return;
    case kSourceOverride:
      if (entry[3] < Platform::kIsaInterrupts) {
        // Flags as in the MP tables: polarity in bits 0-1, trigger mode in bits 2-3.
        platform->isa[entry[3]] = {read32(entry + 4), (entry[8] & 3) == 3, (entry[8] >> 2 & 3) == 3};
      }
      return;
    default:
      return;
  }
}

}  // namespace

bool read_acpi_tables(Platform* platform) {
  const uint64_t root_address = find_root_pointer();
  if (root_address == 0) return false;
  RootPointer root;
  paging::phys_copy(&root, root_address, sizeof(root));
  if (memcmp(root.signature, "RSD PTR ", 8) != 0) return false;
  uint64_t madt = 0;
  if (root.revision >= 2 && root.xsdt != 0) madt = find_madt(root.xsdt, "XSDT", 8);
  if (madt == 0) madt = find_madt(root.rsdt, "RSDT", 4);
  TableHeader header;
  if (madt == 0 || !read_header(madt, "APIC", &header)) return false;

  paging::phys_copy(&platform->lapic, madt + sizeof(header), sizeof(platform->lapic));
  for (uint32_t offset = sizeof(header) + kMadtFixedSize; offset + 2 <= header.length;) {
    uint8_t entry[12] = {};
    paging::phys_copy(entry, madt + offset, min<uint32_t>(sizeof(entry), header.length - offset));
    if (entry[1] < 2) break;
    read_entry(entry, platform);
    offset += entry[1];
  }
  return true;
}

}  // namespace twofold::kernel
