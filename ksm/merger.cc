#include "ksm/merger.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <fstream>

namespace ksm {

namespace {

constexpr uint64_t kDefaultMaxMapCount = 65530;

uint64_t nanoseconds_now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

bool is_reference(Slot slot) {
  return slot != kZeroPage;
}

}  // namespace

AreaBudget AreaBudget::of_this_process() {
  uint64_t limit = 0;
  if (!(std::ifstream("/proc/sys/vm/max_map_count") >> limit)) limit = kDefaultMaxMapCount;
  return {limit / 4 * 3, limit / 10 * 9};
}

void Merger::merge(std::vector<Proposal>& proposals, std::vector<Slot>& unused, std::vector<uint64_t>& refused) {
  std::stable_sort(proposals.begin(), proposals.end(),
                   [](const Proposal& a, const Proposal& b) { return a.frame < b.frame; });
  // Two for one frame: the later one, for it is of the younger content.
  size_t kept = 0;
  for (size_t i = 0; i < proposals.size(); ++i) {
    if (i + 1 < proposals.size() && proposals[i + 1].frame == proposals[i].frame) {
      if (is_reference(proposals[i].slot)) unused.push_back(proposals[i].slot);
    } else {
      proposals[kept++] = proposals[i];
    }
  }
  proposals.resize(kept);
  const Proposal* const end = proposals.data() + proposals.size();
  for (const Proposal* first = proposals.data(); first != end;) {
    const Proposal* last = first + 1;
    while (last != end && last->frame == (last - 1)->frame + 1 && last->frame - first->frame < kSpan) ++last;
    merge_span(first, last, unused, refused);
    first = last;
  }
}

// The proposals [first, last), of adjacent frames.
void Merger::merge_span(const Proposal* first, const Proposal* last, std::vector<Slot>& unused,
                        std::vector<uint64_t>& refused) {
  const uint64_t begin = first->frame;
  const uint64_t end = (last - 1)->frame + 1;
  const size_t bytes = (end - begin) * kPageBytes;
  const std::lock_guard lock(mapping_.mutex());
  const WriteGuard& guard = mapping_.guard();
  outcomes_.fill(Outcome::kUntouched);

  const uint64_t since = nanoseconds_now();
  const bool blocked = protection_ == WriteProtection::kLeftOut || guard.protect(mapping_.at(begin), bytes) ||
                       // What was mapped there since is not watched yet.
                       (guard.watch(mapping_.at(begin), bytes) && guard.protect(mapping_.at(begin), bytes));
  for (const Proposal* run = first; run != last;) {
    if (!blocked || !still_equal(*run)) {
      if (is_reference(run->slot)) unused.push_back(run->slot);
      if (!blocked) refused.push_back(run->frame);
      ++(blocked ? stats_.mismatched : stats_.refused);
      ++run;
      continue;
    }
    const Proposal* next = run + 1;
    const bool zero = run->slot == kZeroPage;
    while (next != last && next->slot == (zero ? kZeroPage : (next - 1)->slot + 1) && still_equal(*next)) {
      ++next;
    }
    const auto count = static_cast<uint64_t>(next - run);
    if (replace(run, count)) {
      for (const Proposal* done = run; done != next; ++done) outcomes_[done->frame - begin] = Outcome::kReplaced;
      (zero ? stats_.zeros : stats_.merged) += count;
      ++stats_.merge_calls;
    } else {
      for (const Proposal* not_done = run; not_done != next; ++not_done) {
        if (!zero) unused.push_back(not_done->slot);
        refused.push_back(not_done->frame);
      }
      stats_.refused += count;
    }
    run = next;
  }
  let_go(begin, end);
  note_wait(nanoseconds_now() - since);
}

bool Merger::still_equal(const Proposal& proposal) const {
  const std::byte* const bytes = mapping_.at(proposal.frame);
  if (proposal.slot == kZeroPage) return is_zero_page(Page(bytes, kPageBytes));
  return std::memcmp(bytes, membership_.page(proposal.slot).data(), kPageBytes) == 0;
}

bool Merger::replace(const Proposal* first, uint64_t count) {
  const Run run{first->frame, count};
  if (first->slot == kZeroPage) return mapping_.discard(run) > 0;
  if (mapping_.stats().areas + 2 > (count == 1 ? budget_.lone : budget_.runs)) return false;
  return mapping_.share(run, membership_.pool(), first->slot);
}

// What was not replaced is still protected. Piece by piece: a piece that was replaced is not watched, and would
// make the kernel stop in the middle, with the rest blocked for ever.
void Merger::let_go(uint64_t begin, uint64_t end) {
  const WriteGuard& guard = mapping_.guard();
  for (uint64_t frame = begin; frame < end;) {
    const Outcome outcome = outcomes_[frame - begin];
    uint64_t next = frame + 1;
    while (next < end && outcomes_[next - begin] == outcome) ++next;
    guard.release(mapping_.at(frame), (next - frame) * kPageBytes, outcome == Outcome::kReplaced);
    frame = next;
  }
}

void Merger::note_wait(uint64_t nanoseconds) {
  const auto bucket = static_cast<size_t>(std::bit_width(nanoseconds / 1000));
  stats_.wait_nanoseconds += nanoseconds;
  ++stats_.waits[std::min(bucket, stats_.waits.size() - 1)];
}

}  // namespace ksm
