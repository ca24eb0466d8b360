#include "vmm/control/numbers.h"

#include <charconv>

namespace twofold {

Result<uint64_t> parse_number(std::string_view text, uint64_t most) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  uint64_t value = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (error == std::errc::invalid_argument || rest != digits.data() + digits.size()) {
    return fail("'{}' is not a number: write it as 4660 or 0x1234", text);
  }
  if (error == std::errc::result_out_of_range || value > most)
    return fail("{} is too large: the most is {:#x}", text, most);
  return value;
}

}  // namespace twofold
