// The statistics that a balloon's driver sends: virtio 1.2 §5.5.6.4.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace twofold {

// The last value of each tag that a driver has sent. Bytes, unless a name says otherwise.
class BalloonStats {
 public:
  static constexpr uint16_t kTags = 16;  // 0 to 9 of virtio 1.2, and 10 to 15 that newer Linux sends

  // Takes all entries that are whole and have a known tag out of a driver's buffer; the rest is skipped. Looks at no
  // more than kMaxEntries.
  static constexpr size_t kMaxEntries = 64;
  void parse(std::span<const iovec> buffers);

  [[nodiscard]] std::optional<uint64_t> value(uint16_t tag) const;
  void clear() { values_ = {}; }

  // What a tag is called in the API: "swap_in_bytes", "major_faults", ….
  static std::string_view name(uint16_t tag);

 private:
  std::array<std::optional<uint64_t>, kTags> values_;
};

}  // namespace twofold
