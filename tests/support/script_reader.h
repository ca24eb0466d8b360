// Takes a hostile driver's script apart: what the fuzzers' bytes mean.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

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

}  // namespace twofold::testing
