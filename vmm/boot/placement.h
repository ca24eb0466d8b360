// What lies where in guest RAM at boot, and the check that no two things want the same bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

// The guest-physical bytes [base, base + bytes). REQUIRES: does not wrap around 2^64.
struct GpaRange {
  Gpa base;
  uint64_t bytes = 0;
  [[nodiscard]] Gpa end() const { return base + bytes; }
  [[nodiscard]] bool contains(Gpa gpa) const { return gpa >= base && gpa < end(); }
  [[nodiscard]] bool overlaps(const GpaRange& other) const { return base < other.end() && other.base < end(); }
  bool operator==(const GpaRange&) const = default;
};

// "0x100000-0x103fff": the last byte included, as people write ranges of addresses.
std::string to_string(const GpaRange& range);

// "0x0-0x3ffffff, 0x100000000-0x13fffffff": the guest's RAM, for error texts.
std::string ram_text(const GuestMemory& memory);

// The claims on guest RAM made so far, each with a name for error texts.
class Placement {
 public:
  explicit Placement(const GuestMemory& memory) : memory_(&memory) {}

  // Claims `range` for `name`, or says why not: outside RAM, or overlapping an earlier claim. Empty ranges are no
  // claim.
  [[nodiscard]] Status claim(const std::string& name, const GpaRange& range);

  // The highest page-aligned place for `bytes` (not 0) in [floor, limit) that is RAM and claimed by none; none if
  // there is none.
  [[nodiscard]] std::optional<Gpa> find_highest(uint64_t bytes, Gpa floor, Gpa limit) const;

 private:
  struct Claim {
    std::string name;
    GpaRange range;
  };
  const GuestMemory* memory_;
  std::vector<Claim> claims_;
};

}  // namespace twofold
