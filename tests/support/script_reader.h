// Takes a hostile driver's script apart: what the fuzzers' bytes mean.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "vmm/base/address.h"
#include "vmm/devices/bus.h"

namespace twofold::testing {

// Takes a script apart. Past its end everything is zero.
class ScriptReader {
 public:
  explicit ScriptReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool done() const { return bytes_.empty(); }
  template <typename T>
  T take() {
    T value{};
    const size_t n = std::min(sizeof value, bytes_.size());
    std::memcpy(&value, bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return value;
  }
  std::span<const uint8_t> take_bytes(size_t n) {
    const auto taken = bytes_.first(std::min(n, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const uint8_t> bytes_;
};

// Addresses that mean something: RAM below the hole mostly, then the range at 4 GiB, then anywhere.
inline Gpa take_gpa(ScriptReader& script, uint64_t ram_bytes, uint64_t hole) {
  const auto raw = script.take<uint32_t>();
  switch (raw >> 30) {
    case 0:
    case 1:
      return Gpa{raw % (hole + 64)};
    case 2:
      return Gpa{(uint64_t{1} << 32) + raw % (ram_bytes - hole + 64)};
    default:
      return Gpa{uint64_t{raw} << 32 | raw};
  }
}

// Nobody looks at a script's interrupts.
class NullInterrupt final : public Interrupt {
 public:
  void trigger() override {}
};

}  // namespace twofold::testing
