// The two-dimensional page walk, done by hand: GVA to GPA through the guest's own tables, and for every guest-physical
// address on the way, GPA to HVA to HPA. It reads what the hardware would read and writes nothing (no accessed or dirty
// flags). Intel SDM vol. 3A §4.3 (32-bit paging) and §4.5 (4-level paging); the count of references is for nested
// paging, SDM vol. 3C §29.3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/memory/host_page.h"

namespace twofold {

enum class PagingMode : uint8_t { kOff, kTwoLevel, kPae, kFourLevel, kFiveLevel };

// The registers that steer the first dimension. To walk another process's tables, take a vCPU's and replace cr3.
struct PagingState {
  uint64_t cr0 = 0;
  uint64_t cr3 = 0;
  uint64_t cr4 = 0;
  uint64_t efer = 0;
  [[nodiscard]] PagingMode mode() const;
};

enum class EntryKind : uint8_t { kPml4e, kPdpte, kPde, kPte };

// A paging-structure entry's flags. `dirty`, `global` and `large` count in entries that map a page; elsewhere the
// hardware ignores those bits, and they are false here.
struct EntryFlags {
  bool present = false;
  bool writable = false;
  bool user = false;
  bool write_through = false;
  bool cache_disable = false;
  bool accessed = false;
  bool dirty = false;
  bool large = false;  // PS: maps a large page rather than a table
  bool global = false;
  bool no_execute = false;
  uint8_t os_bits = 0;  // bits 9..11, for the operating system's own use
};

// One table entry that the walk read.
struct WalkStep {
  EntryKind kind = EntryKind::kPde;
  uint32_t index = 0;
  Gpa entry;  // where the entry itself lies
  uint64_t raw = 0;
  EntryFlags flags;
  bool read = false;          // false: `entry` lies outside RAM, so there is no raw value
  std::optional<Gpa> target;  // the table or page that a present, sound entry points to
};

enum class WalkFault : uint8_t {
  kNone,
  kUnsupportedMode,  // PAE or 5-level paging: not walked here
  kAddressTooWide,   // GVA beyond 32 bits, or not canonical
  kEntryNotPresent,  // the last step's P flag is clear
  kReservedBits,     // the last step has a bit set that must be 0
  kTableOutsideRam,  // the last step's table lies where the guest has no RAM
  kPageOutsideRam,   // translated, but the GPA is no RAM: MMIO or nothing
};

// The first dimension's outcome.
struct GuestWalk {
  Gva gva;
  PagingState paging;
  PagingMode mode = PagingMode::kOff;
  std::vector<WalkStep> steps;  // in walking order, at most four
  WalkFault fault = WalkFault::kNone;
  std::optional<Gpa> gpa;   // set if every entry was present and sound
  uint64_t page_bytes = 0;  // of the guest's mapping; 0 if there is none, or paging is off
  // What the entries allow together; meaningful if gpa is set.
  bool writable = false;
  bool user = false;
  bool executable = false;
};

// Walks the guest's tables alone. Pure; never trusts the guest. Each entry is read once.
GuestWalk walk_guest(const GuestMemory& memory, const PagingState& paging, Gva gva);

// A guest-physical address of the first dimension, translated by the second.
struct HostTranslation {
  Gpa gpa;
  std::optional<uint64_t> hva;  // none: outside RAM
  HostPage page;
  // The largest page the second dimension can map it with: the host's mapping size, if GPA and HVA agree in the low
  // bits; 4 KiB if not known.
  uint64_t nested_page_bytes = kPageSize;
};

struct TwoDimensionalWalk {
  GuestWalk guest;
  // One for each of guest.steps, in order; then, if guest.gpa is set, one for the byte itself.
  std::vector<HostTranslation> host;
};

TwoDimensionalWalk walk_two_dimensions(const GuestMemory& memory, const PagemapSource& pagemap,
                                       const PagingState& paging, Gva gva);

// Levels of the second dimension with 4 KiB pages; a 2 MiB page ends it one level earlier. KVM uses 4 levels unless
// the host has addresses beyond 48 bits.
inline constexpr unsigned kNestedLevels = 4;

// Memory references that finding the address takes when nothing is cached, the access itself not counted: each of the n
// guest entries costs m for its own address and one to read it, and the final address m more: (n+1)(m+1)-1.
constexpr unsigned count_references(unsigned guest_levels, unsigned nested_levels) {
  return (guest_levels + 1) * (nested_levels + 1) - 1;
}

// Of one address: the levels of the second dimension that translate it.
unsigned count_references(const HostTranslation& translation);

// The same for a walk as it went, with each address at its own mapping size. Where the walk faulted: up to there.
unsigned count_references(const TwoDimensionalWalk& walk);

// Short, stable names, for output: "two-level", "PDE", "pde-not-present", "not-backed".
const char* to_string(PagingMode mode);
const char* to_string(EntryKind kind);
const char* to_string(Backing backing);
std::string fault_name(const GuestWalk& walk);
// One sentence for people: what the hardware met, and what it would do.
std::string fault_text(const GuestWalk& walk);

}  // namespace twofold
