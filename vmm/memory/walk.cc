#include "vmm/memory/walk.h"

#include <algorithm>
#include <array>
#include <span>

#include "vmm/base/size.h"

namespace twofold {

namespace {

constexpr uint64_t CR0_PG = uint64_t{1} << 31;
constexpr uint64_t CR4_PSE = uint64_t{1} << 4;
constexpr uint64_t CR4_PAE = uint64_t{1} << 5;
constexpr uint64_t CR4_LA57 = uint64_t{1} << 12;
constexpr uint64_t EFER_LMA = uint64_t{1} << 10;
constexpr uint64_t EFER_NXE = uint64_t{1} << 11;

constexpr uint64_t bit(unsigned n) {
  return uint64_t{1} << n;
}
// Bits high..low set.
constexpr uint64_t bits(unsigned high, unsigned low) {
  return (~uint64_t{0} >> (63 - high)) & (~uint64_t{0} << low);
}

constexpr uint64_t kEntryPresent = bit(0);
constexpr uint64_t kEntryPs = bit(7);
constexpr uint64_t kEntryNoExecute = bit(63);

// One level of tables: which bits of the address choose the entry, and what the entry may map by itself.
struct Level {
  EntryKind kind;
  unsigned shift;
  uint64_t large_reserved;  // bits that must be 0 if PS is set; all of them where PS itself must be 0
  bool may_be_large;
};

struct Geometry {
  std::span<const Level> levels;
  unsigned index_bits;
  unsigned entry_bytes;
  uint64_t table_mask;  // of CR3 and of entries that point to a table
};

// 32-bit paging, table 4-4: with PSE-36, bits 20..13 of a 4 MiB entry are address bits 39..32, and bit 21 is reserved.
constexpr std::array<Level, 2> kTwoLevels = {{
    {EntryKind::kPde, 22, bit(21), true},
    {EntryKind::kPte, 12, 0, false},
}};
// 4-level paging, tables 4-15 to 4-20.
constexpr std::array<Level, 4> kFourLevels = {{
    {EntryKind::kPml4e, 39, kEntryPs, true},
    {EntryKind::kPdpte, 30, bits(29, 13), true},
    {EntryKind::kPde, 21, bits(20, 13), true},
    {EntryKind::kPte, 12, 0, false},
}};
constexpr Geometry kTwoLevelGeometry = {kTwoLevels, 10, 4, bits(31, 12)};
constexpr Geometry kFourLevelGeometry = {kFourLevels, 9, 8, bits(51, 12)};

EntryFlags decode(uint64_t raw, bool maps_page, bool large) {
  EntryFlags flags;
  flags.present = (raw & kEntryPresent) != 0;
  if (!flags.present) return flags;  // the other bits are then the operating system's
  flags.writable = (raw & bit(1)) != 0;
  flags.user = (raw & bit(2)) != 0;
  flags.write_through = (raw & bit(3)) != 0;
  flags.cache_disable = (raw & bit(4)) != 0;
  flags.accessed = (raw & bit(5)) != 0;
  flags.dirty = maps_page && (raw & bit(6)) != 0;
  flags.large = large;
  flags.global = maps_page && (raw & bit(8)) != 0;
  flags.no_execute = (raw & kEntryNoExecute) != 0;
  flags.os_bits = static_cast<uint8_t>((raw >> 9) & 7);
  return flags;
}

bool address_fits(PagingMode mode, uint64_t gva) {
  if (mode != PagingMode::kFourLevel) return gva <= bits(31, 0);
  const auto sign_extended = static_cast<uint64_t>(static_cast<int64_t>(gva << 16) >> 16);
  return gva == sign_extended;
}

// The frame that a page-mapping entry names.
uint64_t frame_of(const Geometry& geometry, const Level& level, uint64_t raw, bool large) {
  if (large && geometry.entry_bytes == 4) return (raw & bits(31, 22)) | ((raw & bits(20, 13)) << (32 - 13));
  return raw & geometry.table_mask & ~(bit(level.shift) - 1);
}

bool breaks_reserved_bits(const Level& level, uint64_t raw, bool large, const PagingState& paging, bool wide) {
  if (large && (raw & level.large_reserved) != 0) return true;
  return wide && (raw & kEntryNoExecute) != 0 && (paging.efer & EFER_NXE) == 0;
}

std::optional<uint64_t> read_entry(const GuestMemory& memory, Gpa at, unsigned entry_bytes) {
  if (entry_bytes == 8) return memory.read<uint64_t>(at);
  const auto value = memory.read<uint32_t>(at);
  return value ? std::optional<uint64_t>(*value) : std::nullopt;
}

void finish(GuestWalk& walk, const GuestMemory& memory, uint64_t frame, uint64_t page_bytes) {
  walk.page_bytes = page_bytes;
  walk.gpa = Gpa{frame | (walk.gva.value & (page_bytes - 1))};
  if (memory.at(*walk.gpa, 1).empty()) walk.fault = WalkFault::kPageOutsideRam;
}

void walk_levels(GuestWalk& walk, const GuestMemory& memory, const Geometry& geometry) {
  const bool wide = geometry.entry_bytes == 8;
  uint64_t table = walk.paging.cr3 & geometry.table_mask;
  walk.writable = walk.user = walk.executable = true;
  for (const Level& level : geometry.levels) {
    WalkStep& step = walk.steps.emplace_back();
    step.kind = level.kind;
    step.index = static_cast<uint32_t>((walk.gva.value >> level.shift) & (bit(geometry.index_bits) - 1));
    step.entry = Gpa{table + uint64_t{step.index} * geometry.entry_bytes};
    const auto raw = read_entry(memory, step.entry, geometry.entry_bytes);
    if (!raw) {
      walk.fault = WalkFault::kTableOutsideRam;
      return;
    }
    // PS counts in 4-level paging always, in 32-bit paging only with CR4.PSE; in a PTE that bit is PAT.
    const bool large = level.may_be_large && (*raw & kEntryPs) != 0 && (wide || (walk.paging.cr4 & CR4_PSE) != 0);
    const bool maps_page = large || level.kind == EntryKind::kPte;
    step.read = true;
    step.raw = *raw;
    step.flags = decode(*raw, maps_page, large);
    if (!step.flags.present) {
      walk.fault = WalkFault::kEntryNotPresent;
      return;
    }
    if (breaks_reserved_bits(level, *raw, large, walk.paging, wide)) {
      walk.fault = WalkFault::kReservedBits;
      return;
    }
    walk.writable = walk.writable && step.flags.writable;
    walk.user = walk.user && step.flags.user;
    walk.executable = walk.executable && !step.flags.no_execute;
    if (maps_page) {
      step.target = Gpa{frame_of(geometry, level, *raw, large)};
      finish(walk, memory, step.target->value, bit(level.shift));
      return;
    }
    table = *raw & geometry.table_mask;
    step.target = Gpa{table};
  }
}

HostTranslation translate(const GuestMemory& memory, const PagemapSource& pagemap, Gpa gpa) {
  HostTranslation translation;
  translation.gpa = gpa;
  const auto byte = memory.at(gpa, 1);
  if (byte.empty()) return translation;
  const auto hva = reinterpret_cast<uint64_t>(byte.data());
  translation.hva = hva;
  translation.page = inspect_host_page(pagemap, hva);
  const uint64_t mapping = translation.page.mapping_bytes.value_or(kPageSize);
  if ((hva & (mapping - 1)) == (gpa.value & (mapping - 1))) translation.nested_page_bytes = mapping;
  return translation;
}

}  // namespace

PagingMode PagingState::mode() const {
  if ((cr0 & CR0_PG) == 0) return PagingMode::kOff;
  if ((cr4 & CR4_PAE) == 0) return PagingMode::kTwoLevel;
  if ((efer & EFER_LMA) == 0) return PagingMode::kPae;
  return (cr4 & CR4_LA57) == 0 ? PagingMode::kFourLevel : PagingMode::kFiveLevel;
}

GuestWalk walk_guest(const GuestMemory& memory, const PagingState& paging, Gva gva) {
  GuestWalk walk;
  walk.gva = gva;
  walk.paging = paging;
  walk.mode = paging.mode();
  if (walk.mode == PagingMode::kPae || walk.mode == PagingMode::kFiveLevel) {
    walk.fault = WalkFault::kUnsupportedMode;
  } else if (!address_fits(walk.mode, gva.value)) {
    walk.fault = WalkFault::kAddressTooWide;
  } else if (walk.mode == PagingMode::kOff) {
    walk.writable = walk.user = walk.executable = true;
    finish(walk, memory, gva.value, 1);
    walk.page_bytes = 0;
  } else {
    walk_levels(walk, memory, walk.mode == PagingMode::kTwoLevel ? kTwoLevelGeometry : kFourLevelGeometry);
  }
  return walk;
}

TwoDimensionalWalk walk_two_dimensions(const GuestMemory& memory, const PagemapSource& pagemap,
                                       const PagingState& paging, Gva gva) {
  TwoDimensionalWalk walk;
  walk.guest = walk_guest(memory, paging, gva);
  for (const WalkStep& step : walk.guest.steps) walk.host.push_back(translate(memory, pagemap, step.entry));
  if (walk.guest.gpa) walk.host.push_back(translate(memory, pagemap, *walk.guest.gpa));
  return walk;
}

unsigned count_references(const HostTranslation& translation) {
  return translation.nested_page_bytes >= 2 * MiB ? kNestedLevels - 1 : kNestedLevels;
}

unsigned count_references(const TwoDimensionalWalk& walk) {
  unsigned references = 0;
  for (const HostTranslation& translation : walk.host) references += count_references(translation);
  const auto entries_read =
      std::count_if(walk.guest.steps.begin(), walk.guest.steps.end(), [](const WalkStep& step) { return step.read; });
  return references + static_cast<unsigned>(entries_read);
}

}  // namespace twofold
