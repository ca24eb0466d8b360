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

void Merger::merge(std::vector<Proposal>& proposals, std::vector<Slot>& unused, std::vector<uint64_t>& left) {
  std::stable_sort(proposals.begin(), proposals.end(),
                   [](const Proposal& a, const Proposal& b) { return a.frame < b.frame; });
  // Two for one frame: the first, for it answers a question about the frame as it is, and the other one of long ago.
  size_t kept = 0;
  for (size_t i = 0; i < proposals.size(); ++i) {
    if (kept > 0 && proposals[i].frame == proposals[kept - 1].frame) {
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
    merge_span(first, last, unused, left);
    first = last;
  }
}

// The proposals [first, last), of adjacent frames.
void Merger::merge_span(const Proposal* first, const Proposal* last, std::vector<Slot>& unused,
                        std::vector<uint64_t>& left) {
  const uint64_t begin = first->frame;
  const uint64_t end = (last - 1)->frame + 1;
  const size_t bytes = (end - begin) * kPageBytes;
  const std::lock_guard lock(mapping_.mutex());
  const WriteGuard& guard = mapping_.guard();
  uint64_t replaced = 0;

  if (last - first == 1 && is_reference(first->slot) && !within_budget(1)) {  // known before anybody is blocked
    leave(*first, unused, left);
    ++stats_.refused;
    return;
  }

  const uint64_t since = nanoseconds_now();
  const bool blocked = protection_ == WriteProtection::kLeftOut || guard.protect(mapping_.at(begin), bytes) ||
                       // What was mapped there since is not watched yet.
                       (guard.watch(mapping_.at(begin), bytes) && guard.protect(mapping_.at(begin), bytes));
  for (const Proposal* run = first; run != last;) {
    if (!blocked || !still_equal(*run)) {
      leave(*run, unused, left);
      ++(blocked ? stats_.mismatched : stats_.refused);
      ++run;
      continue;
    }
    const Proposal* next = run + 1;
    const bool zero = run->slot == kZeroPage;
    const bool shows_pool = mapping_.shows_pool(run->frame);
    while (next != last && next->slot == (zero ? kZeroPage : (next - 1)->slot + 1) &&
           // Discarding takes another system call for each kind, and each must be seen to succeed.
           (!zero || mapping_.shows_pool(next->frame) == shows_pool) && still_equal(*next)) {
      ++next;
    }
    const auto count = static_cast<uint64_t>(next - run);
    if (replace(run, count)) {
      replaced += count;
      (zero ? stats_.zeros : stats_.merged) += count;
      ++stats_.merge_calls;
    } else {
      for (const Proposal* not_done = run; not_done != next; ++not_done) leave(*not_done, unused, left);
      stats_.refused += count;
    }
    run = next;
  }
  guard.release(mapping_.at(begin), bytes, replaced == end - begin);
  note_wait(nanoseconds_now() - since);
}

bool Merger::still_equal(const Proposal& proposal) const {
  const std::byte* const bytes = mapping_.at(proposal.frame);
  if (proposal.slot == kZeroPage) return is_zero_page(Page(bytes, kPageBytes));
  return std::memcmp(bytes, membership_.page(proposal.slot).data(), kPageBytes) == 0;
}

bool Merger::replace(const Proposal* first, uint64_t count) {
  const Run run{first->frame, count};
  if (first->slot == kZeroPage) {
    if (mapping_.shows_pool(first->frame) && !within_budget(2)) return false;
    return mapping_.discard(run) > 0;  // of one kind: all of it, or nothing
  }
  if (!within_budget(count)) return false;
  return mapping_.share(run, membership_.pool(), first->slot);
}

bool Merger::within_budget(uint64_t run) const {
  return mapping_.stats().areas + 2 <= (run == 1 ? budget_.lone : budget_.runs);
}

void Merger::leave(const Proposal& proposal, std::vector<Slot>& unused, std::vector<uint64_t>& left) {
  if (is_reference(proposal.slot)) unused.push_back(proposal.slot);
  left.push_back(proposal.frame);
}

void Merger::note_wait(uint64_t nanoseconds) {
  const auto bucket = static_cast<size_t>(std::bit_width(nanoseconds / 1000));
  stats_.wait_nanoseconds += nanoseconds;
  ++stats_.waits[std::min(bucket, stats_.waits.size() - 1)];
}

}  // namespace ksm
