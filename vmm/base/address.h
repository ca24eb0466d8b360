// Addresses and frame numbers, each its own type, so that one dimension is never taken for the other.
//
// GVA: guest virtual. GPA: guest physical. A gfn is a GPA's page frame number. HVA is a plain pointer.
#pragma once

#include <compare>
#include <cstdint>

namespace twofold {

inline constexpr unsigned kPageShift = 12;
inline constexpr uint64_t kPageSize = uint64_t{1} << kPageShift;

struct Gfn {
  uint64_t value = 0;
  auto operator<=>(const Gfn&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 misreads it
};

struct Gpa {
  uint64_t value = 0;
  auto operator<=>(const Gpa&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 misreads it
  [[nodiscard]] constexpr Gfn gfn() const { return Gfn{value >> kPageShift}; }
  constexpr Gpa operator+(uint64_t bytes) const { return Gpa{value + bytes}; }
};

struct Gva {
  uint64_t value = 0;
  auto operator<=>(const Gva&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 misreads it
};

constexpr Gpa base_of(Gfn gfn) {
  return Gpa{gfn.value << kPageShift};
}

constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}
constexpr uint64_t align_down(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}

}  // namespace twofold
