#include "vmm/memory/reclaim.h"

#include <sys/mman.h>

#include <algorithm>

#include "vmm/base/size.h"

namespace twofold {

namespace {

constexpr uint64_t kHugeBytes = 2 * MiB;

}  // namespace

Reclaim::Reclaim(const GuestMemory& memory)
    : memory_(memory), frame_count_(memory.bytes() / kPageSize), ballooned_(frame_count_) {
  const uint64_t last = reinterpret_cast<uint64_t>(memory.hva_base()) + memory.bytes() - 1;
  split_.resize(area_of(last) + 1);
  cut_.reserve(split_.size());
}

uint64_t Reclaim::area_of(uint64_t address) const {
  return address / kHugeBytes - reinterpret_cast<uint64_t>(memory_.hva_base()) / kHugeBytes;
}

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
  const std::lock_guard lock(mutex_);
  for (const FrameRun& given : runs) {
    const FrameRun run = cut(given);
    if (run.count == 0) continue;
    stats_.inflated_bytes += discard(run);
    for (uint64_t frame = run.first; frame < run.end(); ++frame) {
      if (!ballooned_[frame]) stats_.ballooned_bytes += kPageSize;
      ballooned_[frame] = true;
    }
  }
  settle_or_arrange();
}

void Reclaim::deflate(std::span<const FrameRun> runs) {
  const std::lock_guard lock(mutex_);
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
  const std::lock_guard lock(mutex_);
  for (const FrameRun& given : runs) {
    const FrameRun run = cut(given);
    if (run.count > 0) stats_.reported_bytes += discard(run);
  }
  settle_or_arrange();
}

// Private anonymous memory: MADV_DONTNEED frees the frames and shows zeros afterwards (madvise(2)). Returns the bytes.
uint64_t Reclaim::discard(FrameRun run) {
  std::byte* const begin = memory_.hva_base() + run.first * kPageSize;
  const uint64_t bytes = run.count * kPageSize;
  const auto address = reinterpret_cast<uint64_t>(begin);
  if (address % kHugeBytes != 0) note_cut(address);
  if ((address + bytes) % kHugeBytes != 0) note_cut(address + bytes - 1);
  ++stats_.discard_calls;
  if (::madvise(begin, bytes, MADV_DONTNEED) == 0) return bytes;
  stats_.failed_bytes += bytes;
  return 0;
}

void Reclaim::note_cut(uint64_t address) {
  const uint64_t area = area_of(address);
  if (split_[area]) return;
  // From the first hole on: or the kernel would, in its own time, make one huge page of what is left, and fill the
  // hole.
  if (stats_.split_calls == 0 && cut_.empty()) (void)::madvise(memory_.hva_base(), memory_.bytes(), MADV_NOHUGEPAGE);
  split_[area] = true;
  cut_.push_back(area);
}

void Reclaim::settle_or_arrange() {
  if (cut_.empty() || arranged_) return;
  if (soon_) {
    arranged_ = true;
    soon_();
  } else {
    split_cut_pages();
  }
}

void Reclaim::settle() {
  const std::lock_guard lock(mutex_);
  arranged_ = false;
  split_cut_pages();
}

// MADV_COLD on pages of a huge page that is not whole splits it, as a side effect that the kernel needs for itself: it
// cannot age a part. Where nothing of it is left there is nothing to do, and little is done.
void Reclaim::split_cut_pages() {
  const auto base = reinterpret_cast<uint64_t>(memory_.hva_base());
  for (const uint64_t area : cut_) {
    const uint64_t begin = (base / kHugeBytes + area) * kHugeBytes;
    const uint64_t from = std::max(begin, base);
    const uint64_t to = std::min(begin + kHugeBytes, base + memory_.bytes());
    ++stats_.split_calls;
    (void)::madvise(reinterpret_cast<void*>(from), to - from, MADV_COLD);  // EINVAL before 5.4: then only later
  }
  cut_.clear();
}

FrameState Reclaim::state(uint64_t frame) const {
  const std::lock_guard lock(mutex_);
  return frame < frame_count_ && ballooned_[frame] ? FrameState::kBallooned : FrameState::kOwn;
}

ReclaimStats Reclaim::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace twofold
