#include "vmm/memory/reclaim.h"

#include <algorithm>

namespace twofold {

Reclaim::Reclaim(const GuestMemory& memory)
    : memory_(memory),
      frame_count_(memory.bytes() / kPageSize),
      mapping_(memory.hva_base(), frame_count_),
      ballooned_(frame_count_) {}

std::optional<uint64_t> Reclaim::frame_of(Gpa gpa) const {
  for (const RamRange& range : memory_.ranges()) {
    if (gpa >= range.base && gpa < range.end()) return (gpa.value - range.base.value + range.offset) / kPageSize;
  }
  return std::nullopt;
}

FrameRun Reclaim::whole_frames(std::span<const std::byte> buffer) const {
  const auto begin = static_cast<uint64_t>(buffer.data() - memory_.hva_base());
  const uint64_t first = (begin + kPageSize - 1) / kPageSize;
  const uint64_t end = (begin + buffer.size()) / kPageSize;
  return {first, end > first ? end - first : 0};
}

FrameRun Reclaim::cut(FrameRun run) const {
  if (run.first >= frame_count_) return {};
  return {run.first, std::min(run.count, frame_count_ - run.first)};
}

void Reclaim::inflate(std::span<const FrameRun> runs) {
  const std::lock_guard lock(mapping_.mutex());
  for (const FrameRun& given : runs) {
    const FrameRun run = cut(given);
    if (run.count == 0) continue;
    stats_.inflated_bytes += mapping_.discard(run);
    for (uint64_t frame = run.first; frame < run.end(); ++frame) {
      if (!ballooned_[frame]) stats_.ballooned_bytes += kPageSize;
      ballooned_[frame] = true;
    }
  }
  mapping_.settle_or_arrange();
}

void Reclaim::deflate(std::span<const FrameRun> runs) {
  const std::lock_guard lock(mapping_.mutex());
  for (const FrameRun& given : runs) {
    const FrameRun run = cut(given);
    for (uint64_t frame = run.first; frame < run.end(); ++frame) {
      if (!ballooned_[frame]) continue;
      ballooned_[frame] = false;
      stats_.ballooned_bytes -= kPageSize;
      stats_.deflated_bytes += kPageSize;
    }
  }
}

void Reclaim::discard_free(std::span<const FrameRun> runs) {
  const std::lock_guard lock(mapping_.mutex());
  for (const FrameRun& given : runs) {
    const FrameRun run = cut(given);
    if (run.count > 0) stats_.reported_bytes += mapping_.discard(run);
  }
  mapping_.settle_or_arrange();
}

void Reclaim::settle() {
  const std::lock_guard lock(mapping_.mutex());
  mapping_.settle();
}

FrameState Reclaim::state(uint64_t frame) const {
  const std::lock_guard lock(mapping_.mutex());
  return frame < frame_count_ && ballooned_[frame] ? FrameState::kBallooned : FrameState::kOwn;
}

ReclaimStats Reclaim::stats() const {
  const std::lock_guard lock(mapping_.mutex());
  ReclaimStats stats = stats_;
  stats.discard_calls = mapping_.stats().discard_calls;
  stats.split_calls = mapping_.stats().split_calls;
  stats.failed_bytes = mapping_.stats().failed_bytes;
  return stats;
}

}  // namespace twofold
