// Guest RAM: one anonymous mapping, seen by the guest as one or two ranges around the PCI hole.
//
// Everything a device or the loader touches in the guest goes through the checked accessors below. A guest address is
// never trusted: a range that is not wholly inside one RAM range yields an empty span, and the caller counts the
// mistake.
//
// Thread safety: the object is immutable once created. The bytes are shared with running vCPUs, so a reader must
// fetch a value once and work on its copy: what was checked may have changed by the second read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"

namespace twofold {

// A run of guest-physical addresses backed by RAM. `offset` is the run's place in the mapping, in bytes.
struct RamRange {
  Gpa base;
  uint64_t bytes = 0;
  uint64_t offset = 0;
  [[nodiscard]] Gpa end() const { return base + bytes; }
};

class GuestMemory {
 public:
  // Maps `bytes` of zeroed RAM (page multiple, not zero), lazily populated. RAM starts at GPA 0, leaves out
  // [hole_base, 4 GiB), and goes on at 4 GiB. Errors: size not a page multiple, or mmap refused.
  static Result<GuestMemory> create(uint64_t bytes, uint64_t hole_base);

  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&&) = delete;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory();

  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::byte* hva_base() const { return base_; }
  [[nodiscard]] std::span<const RamRange> ranges() const { return ranges_; }

  // The bytes [gpa, gpa + length) if all of them lie in one RAM range; else, or if length is 0, an empty span.
  [[nodiscard]] std::span<std::byte> at(Gpa gpa, uint64_t length) const;

  // Copies a whole object out of or into guest RAM. False, with nothing copied, if any byte lies outside RAM.
  template <typename T>
  [[nodiscard]] std::optional<T> read(Gpa gpa) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto from = at(gpa, sizeof(T));
    if (from.empty()) return std::nullopt;
    T value;
    std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  template <typename T>
  [[nodiscard]] bool write(Gpa gpa, const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto to = at(gpa, sizeof(T));
    if (to.empty()) return false;
    std::memcpy(to.data(), &value, sizeof(T));
    return true;
  }

 private:
  GuestMemory(std::byte* base, uint64_t bytes, uint64_t hole_base);

  std::byte* base_ = nullptr;
  uint64_t bytes_ = 0;
  std::vector<RamRange> ranges_;  // ascending, one or two
};

}  // namespace twofold
