#include "ksm/mapping.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "ksm/page_hash.h"

namespace ksm {

namespace {

constexpr uint64_t kHugeBytes = 2 << 20;
constexpr size_t kMaxCuts = 4096;  // that wait; more are split at once
// NORESERVE: promising more than there is, is what this is for.
constexpr int kPlace = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;

}  // namespace

Mapping::Mapping(std::byte* memory, uint64_t frames) : memory_(memory), frames_(frames) {
  split_.resize(area_of(reinterpret_cast<uint64_t>(memory) + frames * kPageBytes - 1) + 1);
  cut_.reserve(kMaxCuts);
}

std::byte* Mapping::at(uint64_t frame) const {
  return memory_ + frame * kPageBytes;
}

uint64_t Mapping::area_of(uint64_t address) const {
  return address / kHugeBytes - reinterpret_cast<uint64_t>(memory_) / kHugeBytes;
}

// --- Giving up -----------------------------------------------------------------------------------------------

// The first frame after `frame` that is not anonymous as it is, or not of the pool as it is; at most `end`.
uint64_t Mapping::same_kind_from(uint64_t frame, uint64_t end) const {
  const bool anonymous = is_anonymous(frame);
  while (++frame < end && is_anonymous(frame) == anonymous) {
  }
  return frame;
}

uint64_t Mapping::discard(Run run) {
  if (slots_.empty()) return discard_anonymous(run);
  uint64_t given = 0;
  for (uint64_t frame = run.first; frame < run.end();) {
    const uint64_t end = same_kind_from(frame, run.end());
    const Run piece{frame, end - frame};
    given += is_anonymous(frame) ? discard_anonymous(piece) : discard_shared(piece);
    frame = end;
  }
  return given;
}

// Private anonymous memory: MADV_DONTNEED frees the frames and shows zeros afterwards (madvise(2)).
uint64_t Mapping::discard_anonymous(Run run) {
  note_cuts(run);
  // From the first hole on: or the kernel would, in its own time, make one huge page of what is left, and fill the
  // hole.
  if (!cut_.empty()) forbid_new_huge_pages();
  ++stats_.discard_calls;
  const uint64_t bytes = run.count * kPageBytes;
  if (::madvise(at(run.first), bytes, MADV_DONTNEED) == 0) return bytes;
  stats_.failed_bytes += bytes;
  return 0;
}

uint64_t Mapping::discard_shared(Run run) {
  ++stats_.discard_calls;
  const uint64_t bytes = run.count * kPageBytes;
  if (::mmap(at(run.first), bytes, PROT_READ | PROT_WRITE, kPlace | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) {
    // No area of address space left (vm.max_map_count): the guest keeps what it has, and so do we the references.
    stats_.failed_bytes += bytes;
    return 0;
  }
  // The hole must not be filled by a huge page. And before anybody touches the new mapping it is made like its
  // neighbours, so that the kernel makes one area of them again.
  if (no_new_huge_) {
    (void)::madvise(at(run.first), bytes, MADV_NOHUGEPAGE);
  } else {
    forbid_new_huge_pages();
  }
  (void)guard_->watch(at(run.first), bytes);
  set_slots(run, kNoSlot);
  return bytes;
}

// --- Huge pages ----------------------------------------------------------------------------------------------

void Mapping::note_cuts(Run run) {
  const auto begin = reinterpret_cast<uint64_t>(at(run.first));
  const auto end = reinterpret_cast<uint64_t>(at(run.end()));
  // The pages beside each run: one of them is left of the huge page in the end, whatever else of it goes meanwhile, and
  // whatever small pages come into the holes.
  if (begin % kHugeBytes != 0 && run.first > 0) note_cut(run.first - 1);
  if (end % kHugeBytes != 0 && run.end() < frames_) note_cut(run.end());
}

void Mapping::note_cut(uint64_t frame) {
  if (split_[area_of(reinterpret_cast<uint64_t>(at(frame)))]) return;
  if (cut_.size() == kMaxCuts) split_cut_pages();
  cut_.push_back(frame);
}

void Mapping::forbid_new_huge_pages() {
  if (!no_new_huge_) (void)::madvise(memory_, frames_ * kPageBytes, MADV_NOHUGEPAGE);
  no_new_huge_ = true;
}

void Mapping::settle_or_arrange() {
  if (cut_.empty() || arranged_) return;
  if (soon_) {
    arranged_ = true;
    soon_();
  } else {
    split_cut_pages();
  }
}

void Mapping::settle() {
  arranged_ = false;
  split_cut_pages();
}

// MADV_COLD on a page of a huge page that is not whole splits it, as a side effect that the kernel needs for itself: it
// cannot age a part. Where nothing is left there, nothing has to be split.
void Mapping::split_cut_pages() {
  for (const uint64_t frame : cut_) {
    ++stats_.split_calls;
    (void)::madvise(at(frame), kPageBytes, MADV_COLD);  // EINVAL before 5.4: then only later
    split_[area_of(reinterpret_cast<uint64_t>(at(frame)))] = true;
  }
  cut_.clear();
}

// --- Merging -------------------------------------------------------------------------------------------------

bool Mapping::start_merging(std::string* error) {
  guard_ = WriteGuard::open(error);
  if (!guard_) return false;
  if (!guard_->watch(memory_, frames_ * kPageBytes)) {
    *error = "cannot watch the memory for writes: " + std::system_category().message(errno);
    guard_.reset();
    return false;
  }
  slots_.assign(frames_, kNoSlot);
  held_.assign(frames_, false);
  dropped_.reserve(frames_);  // the merger takes them after each area: never more than a reference a frame
  return true;
}

bool Mapping::share(Run run, int pool, Slot first) {
  const uint64_t bytes = run.count * kPageBytes;
  const auto offset = static_cast<off_t>(uint64_t{first} * kPageBytes);
  if (::mmap(at(run.first), bytes, PROT_READ | PROT_WRITE, kPlace, pool, offset) == MAP_FAILED) return false;
  (void)guard_->watch(at(run.first), bytes);  // as its neighbours are, so that one area can hold them
  note_cuts(run);
  set_slots(run, first);
  return true;
}

// Whether the frame's mapping goes on where the mapping of the frame before it ends, so that one area holds both.
bool Mapping::joins(uint64_t frame) const {
  const Slot before = slots_[frame - 1];
  return before == kNoSlot ? slots_[frame] == kNoSlot : slots_[frame] == before + 1;
}

uint64_t Mapping::boundaries(Run run) const {
  uint64_t count = 0;
  const uint64_t last = std::min(run.end(), frames_ - 1);
  for (uint64_t frame = std::max<uint64_t>(run.first, 1); frame <= last; ++frame) count += joins(frame) ? 0 : 1;
  return count;
}

void Mapping::set_slots(Run run, Slot first) {
  stats_.areas -= boundaries(run);
  for (uint64_t frame = run.first; frame < run.end(); ++frame) {
    if (held_[frame]) drop_broken(frame);
    slots_[frame] = first == kNoSlot ? kNoSlot : static_cast<Slot>(first + (frame - run.first));
    held_[frame] = first != kNoSlot;
    stats_.held_frames += first != kNoSlot ? 1 : 0;
  }
  stats_.areas += boundaries(run);
}

Slot Mapping::held_slot(uint64_t frame) const {
  return !held_.empty() && held_[frame] ? slots_[frame] : kNoSlot;
}

void Mapping::drop_broken(uint64_t frame) {
  dropped_.push_back(slots_[frame]);
  held_[frame] = false;
  --stats_.held_frames;
}

void Mapping::take_dropped(std::vector<Slot>& slots) {
  slots.insert(slots.end(), dropped_.begin(), dropped_.end());
  dropped_.clear();
}

// A write of what is there already makes the kernel copy the page. MADV_POPULATE_WRITE (Linux 5.14) does that for a
// range, whatever other threads write meanwhile. Where it fails for a range, it may have come some way: so then one by
// one.
bool Mapping::unshare(Run run) {
  const auto copy = [this](uint64_t frame, uint64_t count) {
    if (::madvise(at(frame), count * kPageBytes, MADV_POPULATE_WRITE) != 0) return false;
    for (uint64_t copied = frame; copied < frame + count; ++copied) drop_broken(copied);
    return true;
  };
  bool all = true;
  for (uint64_t frame = run.first; frame < run.end();) {
    uint64_t end = frame;
    while (end < run.end() && held_[end]) ++end;
    if (end > frame && !copy(frame, end - frame)) {
      for (uint64_t one = frame; one < end; ++one) all &= copy(one, 1);
    }
    frame = end + 1;
  }
  return all;
}

}  // namespace ksm
