#include "vmm/base/size.h"

#include <array>
#include <cctype>
#include <charconv>
#include <limits>

namespace twofold {

namespace {

// Powers of 1024 for a suffix such as "M", "MB" or "MiB"; -1 for anything else.
int suffix_power(std::string_view suffix) {
  if (suffix.empty()) return 0;
  constexpr std::string_view kUnits = "BKMGT";
  const auto power = kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(suffix.front()))));
  if (power == std::string_view::npos) return -1;
  const std::string_view rest = suffix.substr(1);
  const bool ok = rest.empty() || (power > 0 && (rest == "B" || rest == "b" || rest == "iB" || rest == "ib"));
  return ok ? static_cast<int>(power) : -1;
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const int power = suffix_power(std::string_view(rest, static_cast<size_t>(end - rest)));
  if (error == std::errc::invalid_argument || power < 0) {
    return fail("'{}' is not a size: write a whole number of bytes, or one with a suffix K, M, G or T, such as 64M",
                text);
  }
  const int shift = 10 * power;
  if (error == std::errc::result_out_of_range || value > (std::numeric_limits<uint64_t>::max() >> shift)) {
    return fail("'{}' is too large a size: it does not fit 64 bits", text);
  }
  return value << shift;
}

std::string format_size(uint64_t bytes) {
  constexpr std::array<const char*, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (unit + 1 < kNames.size() && bytes >> (10 * (unit + 1)) != 0) ++unit;
  const uint64_t scale = uint64_t{1} << (10 * unit);
  if (bytes % scale == 0) return fmt::format("{} {}", bytes / scale, kNames[unit]);
  return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(scale), kNames[unit]);
}

}  // namespace twofold
