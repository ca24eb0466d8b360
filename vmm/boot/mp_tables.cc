#include "vmm/boot/mp_tables.h"

#include <array>
#include <cstring>
#include <numeric>
#include <span>

#include "vmm/memory/layout.h"

namespace twofold {

namespace {

// MP 1.4 §4.1, table 4-1.
struct FloatingPointer {
  char signature[4];
  uint32_t table;
  uint8_t length;  // in units of 16 bytes
  uint8_t revision;
  uint8_t checksum;
  uint8_t features[5];  // [0] = 0: a configuration table is present; [1] bit 7 = 0: virtual wire mode, no IMCR
};
static_assert(sizeof(FloatingPointer) == 16);

// MP 1.4 §4.2, table 4-2.
struct ConfigHeader {
  char signature[4];
  uint16_t length;
  uint8_t revision;
  uint8_t checksum;
  char oem[8];
  char product[12];
  uint32_t oem_table;
  uint16_t oem_table_bytes;
  uint16_t entries;
  uint32_t local_apic;
  uint16_t extended_bytes;
  uint8_t extended_checksum;
  uint8_t reserved;
};
static_assert(sizeof(ConfigHeader) == 44);

// MP 1.4 §4.3.1 to §4.3.5.
enum EntryType : uint8_t { kProcessor, kBus, kIoApicEntry, kIoInterrupt, kLocalInterrupt };
enum InterruptType : uint8_t { kVectored = 0, kNmi = 1, kExtInt = 3 };

struct ProcessorEntry {
  uint8_t type = kProcessor;
  uint8_t apic_id;
  uint8_t apic_version = 0x14;
  uint8_t flags;                    // 1: usable, 2: the bootstrap processor
  uint32_t signature = 0x600;       // family 6; CPUID tells the truth
  uint32_t feature_flags = 0x0201;  // FPU, APIC
  uint32_t reserved[2] = {};
};
static_assert(sizeof(ProcessorEntry) == 20);

struct BusEntry {
  uint8_t type = kBus;
  uint8_t id = 0;
  char name[6] = {'I', 'S', 'A', ' ', ' ', ' '};
};
static_assert(sizeof(BusEntry) == 8);

struct IoApicEntry {
  uint8_t type = kIoApicEntry;
  uint8_t id = kIoApicId;
  uint8_t version = 0x11;
  uint8_t flags = 1;  // usable
  uint32_t address = static_cast<uint32_t>(layout::kIoApic);
};
static_assert(sizeof(IoApicEntry) == 8);

struct InterruptEntry {
  uint8_t type;
  uint8_t interrupt;   // InterruptType
  uint16_t flags = 0;  // polarity and trigger as the bus has them: ISA is active high, edge
  uint8_t bus = 0;
  uint8_t bus_irq;
  uint8_t apic;
  uint8_t pin;
};
static_assert(sizeof(InterruptEntry) == 8);

constexpr uint64_t kFloatingOffset = 16;  // byte 0 of an EBDA is its size in KiB; the pointer is 16-byte aligned
constexpr uint64_t kConfigOffset = kFloatingOffset + sizeof(FloatingPointer);
constexpr uint8_t kAllApics = 0xff;
constexpr uint8_t kIsaIrqs = 16;
constexpr uint8_t kCascadeIrq = 2;

template <typename T>
void append(std::vector<std::byte>& to, const T& entry) {
  const auto bytes = std::as_bytes(std::span(&entry, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// The byte that makes all of them add up to 0.
uint8_t checksum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint8_t{0}, [](uint8_t sum, std::byte b) {
    return static_cast<uint8_t>(sum - std::to_integer<uint8_t>(b));
  });
}

// Returns how many entries it appended: processors, then bus, I/O APIC and interrupts, ordered by type as §4.3 asks.
uint16_t append_entries(std::vector<std::byte>& table, uint32_t cpus) {
  uint16_t count = 0;
  const auto add = [&](const auto& entry) {
    append(table, entry);
    ++count;
  };
  for (uint32_t cpu = 0; cpu < cpus; ++cpu) {
    ProcessorEntry processor = {};
    processor.apic_id = static_cast<uint8_t>(cpu);
    processor.flags = cpu == 0 ? 3 : 1;
    add(processor);
  }
  add(BusEntry{});
  add(IoApicEntry{});
  // KVM's routing after KVM_CREATE_IRQCHIP is the identity, line n to pin n, for the timer (line 0) too: there is no
  // override of 0 to pin 2 as PCs and QEMU have it. The cascade's line raises nothing.
  for (uint8_t irq = 0; irq < kIsaIrqs; ++irq) {
    if (irq == kCascadeIrq) continue;
    add(InterruptEntry{.type = kIoInterrupt, .interrupt = kVectored, .bus_irq = irq, .apic = kIoApicId, .pin = irq});
  }
  add(InterruptEntry{.type = kLocalInterrupt, .interrupt = kExtInt, .bus_irq = 0, .apic = kAllApics, .pin = 0});
  add(InterruptEntry{.type = kLocalInterrupt, .interrupt = kNmi, .bus_irq = 0, .apic = kAllApics, .pin = 1});
  return count;
}

std::vector<std::byte> make_config_table(uint32_t cpus) {
  ConfigHeader header = {{'P', 'C', 'M', 'P'},
                         0,
                         4,
                         0,
                         {'T', 'W', 'O', 'F', 'O', 'L', 'D', ' '},
                         {'t', 'w', 'o', 'f', 'o', 'l', 'd', ' ', ' ', ' ', ' ', ' '},
                         0,
                         0,
                         0,
                         static_cast<uint32_t>(layout::kLocalApic),
                         0,
                         0,
                         0};
  std::vector<std::byte> table(sizeof header);
  header.entries = append_entries(table, cpus);
  header.length = static_cast<uint16_t>(table.size());
  std::memcpy(table.data(), &header, sizeof header);
  header.checksum = checksum(table);
  std::memcpy(table.data(), &header, sizeof header);
  return table;
}

}  // namespace

std::vector<std::byte> make_mp_tables(uint32_t cpus) {
  FloatingPointer pointer = {{'_', 'M', 'P', '_'}, static_cast<uint32_t>(layout::kEbda + kConfigOffset), 1, 4, 0, {}};
  pointer.checksum = checksum(std::as_bytes(std::span(&pointer, 1)));

  std::vector<std::byte> ebda(kFloatingOffset);
  ebda[0] = std::byte{layout::kEbdaBytes / 1024};
  append(ebda, pointer);
  const auto table = make_config_table(cpus);
  ebda.insert(ebda.end(), table.begin(), table.end());
  return ebda;
}

Status write_mp_tables(const GuestMemory& memory, uint32_t cpus) {
  if (cpus < 1 || cpus > layout::kMaxCpus) {
    return fail("cannot describe {} CPUs to the guest: 1 to {} are possible; change --cpus", cpus, layout::kMaxCpus);
  }
  const auto tables = make_mp_tables(cpus);
  const auto ebda = memory.at(Gpa{layout::kEbda}, layout::kEbdaBytes);
  if (ebda.size() < tables.size()) return fail("cannot write the MP tables: no RAM at {:#x}", layout::kEbda);
  std::memcpy(ebda.data(), tables.data(), tables.size());
  const bool written = memory.write(Gpa{layout::kBdaEbdaSegment}, static_cast<uint16_t>(layout::kEbda >> 4)) &&
                       memory.write(Gpa{layout::kBdaBaseMemoryKib}, static_cast<uint16_t>(layout::kEbda / 1024));
  if (!written) return fail("cannot write the BIOS data area: no RAM at {:#x}", layout::kBdaEbdaSegment);
  return {};
}

}  // namespace twofold
