#include "vmm/boot/placement.h"

#include <algorithm>

#include "vmm/memory/layout.h"

namespace twofold {

std::string to_string(const GpaRange& range) {
  return fmt::format("{:#x}-{:#x}", range.base.value, range.base.value + range.bytes - 1);
}

std::string ram_text(const GuestMemory& memory) {
  std::string text;
  for (const RamRange& ram : memory.ranges()) {
    if (!text.empty()) text += ", ";
    text += to_string(GpaRange{ram.base, ram.bytes});
  }
  return text;
}

Status Placement::claim(const std::string& name, const GpaRange& range) {
  if (range.bytes == 0) return {};
  if (memory_->at(range.base, range.bytes).empty()) {
    return fail("{} at {} lies outside the guest's RAM ({}); give the guest more --memory, or link the kernel lower",
                name, to_string(range), ram_text(*memory_));
  }
  for (const Claim& other : claims_) {
    if (!range.overlaps(other.range)) continue;
    return fail("{} at {} overlaps {} at {}; link the kernel so that its parts are apart, from {:#x} on", name,
                to_string(range), other.name, to_string(other.range), layout::kHighMemory);
  }
  claims_.push_back({name, range});
  return {};
}

std::optional<Gpa> Placement::find_highest(uint64_t bytes, Gpa floor, Gpa limit) const {
  const uint64_t size = align_up(bytes, kPageSize);
  if (size < bytes) return std::nullopt;
  // From the top down: each claim in the way lowers the top to its own start, so that every claim is met at most once.
  uint64_t top = align_down(limit.value, kPageSize);
  for (size_t tries = 0; tries <= claims_.size(); ++tries) {
    if (top < floor.value || top - floor.value < size) return std::nullopt;
    const GpaRange place{Gpa{top - size}, size};
    const auto in_the_way =
        std::find_if(claims_.begin(), claims_.end(), [&](const Claim& claim) { return place.overlaps(claim.range); });
    if (in_the_way == claims_.end()) {
      if (memory_->at(place.base, size).empty()) return std::nullopt;
      return place.base;
    }
    top = align_down(in_the_way->range.base.value, kPageSize);
  }
  return std::nullopt;
}

}  // namespace twofold
