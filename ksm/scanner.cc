#include "ksm/scanner.h"

#include <algorithm>
#include <numeric>

#include "ksm/page_hash.h"

namespace ksm {

namespace {

constexpr uint8_t kMaxBackOff = 6;  // then a frame is looked at every 32nd pass

// Counts one more of what keeps happening, and returns for how many passes to look away: 0, 1, 3, 7, 15, 31.
uint8_t back_off(uint8_t& count) {
  count = static_cast<uint8_t>(std::min<int>(count + 1, kMaxBackOff));
  return static_cast<uint8_t>((1 << (count - 1)) - 1);
}

}  // namespace

Scanner::Scanner(Mapping& mapping, Membership& membership, Merger& merger, PageScan scan, ScanConfig config)
    : mapping_(mapping),
      membership_(membership),
      merger_(merger),
      scan_(std::move(scan)),
      config_(config),
      shift_(reinterpret_cast<uint64_t>(mapping.memory()) / kPageBytes % kAreaFrames),
      memos_(mapping.frames()),
      areas_((shift_ + mapping.frames() + kAreaFrames - 1) / kAreaFrames),
      order_(areas_.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  begin_pass();
}

void Scanner::begin_pass() {
  next_ = 0;
  if (config_.order == Order::kRandom) std::shuffle(order_.begin(), order_.end(), random_);
}

Run Scanner::frames_of(uint64_t area) const {
  const uint64_t begin = std::max(area * kAreaFrames, shift_) - shift_;
  const uint64_t end = std::min((area + 1) * kAreaFrames - shift_, mapping_.frames());
  return {begin, end - begin};
}

Scanner::Step Scanner::step(uint64_t frames) {
  Step step;
  while (step.frames < frames && next_ < order_.size()) {
    const uint64_t area = order_[next_++];
    scan_area(area);
    step.frames += frames_of(area).count;
  }
  if (next_ == order_.size()) {
    step.pass_ended = true;
    ++stats_.passes;
    begin_pass();
  }
  return step;
}

void Scanner::ask_again() {
  for (Memo& memo : memos_) memo.asked = false;
  for (Area& area : areas_) area = {};
}

void Scanner::scan_area(uint64_t number) {
  Area& area = areas_[number];
  if (area.skip > 0) {
    --area.skip;
    return;
  }
  questions_.clear();
  proposals_.clear();
  const Run frames = frames_of(number);
  const auto& found = scan_.find(mapping_.memory(), frames);
  area.huge = std::any_of(found.begin(), found.end(), [](const PresentRun& present) { return present.huge; });
  note_references(frames, found);
  for (const PresentRun& present : found) {
    for (uint64_t frame = present.run.first; frame < present.run.end(); ++frame) look_at(frame);
  }
  stats_.asked += questions_.size();
  membership_.ask(mapping_.memory(), questions_, proposals_);
  keep_huge_pages(number);
  merge_and_return();
}

// A frame that holds a reference and is private to the process again has been written to. One that holds neither a
// reference nor anything else is forgotten: what comes there next is new.
void Scanner::note_references(Run area, const std::vector<PresentRun>& present) {
  const std::lock_guard lock(mapping_.mutex());
  uint64_t frame = area.first;
  const auto forget_until = [&](uint64_t end) {
    for (; frame < end; ++frame) {
      if (mapping_.held_slot(frame) == kNoSlot) memos_[frame] = {};
    }
  };
  for (const PresentRun& here : present) {
    forget_until(here.run.first);
    for (; frame < here.run.end(); ++frame) {
      if (mapping_.held_slot(frame) == kNoSlot) continue;
      mapping_.drop_broken(frame);
      memos_[frame].suspect = true;
      ++stats_.broken;
    }
  }
  forget_until(area.end());
}

void Scanner::look_at(uint64_t frame) {
  Memo& memo = memos_[frame];
  if (memo.skip > 0) {
    --memo.skip;
    ++stats_.changing;
    return;
  }
  const Page page(mapping_.at(frame), kPageBytes);
  if (is_zero_page(page)) {
    memo = {};
    proposals_.push_back({frame, kZeroPage});
    return;
  }
  const uint64_t hash = std::max<uint64_t>(page_hash(page, membership_.key()), 1);
  ++stats_.hashed;
  const bool first_seen = memo.hash == 0;
  const bool changed = !first_seen && (memo.hash != hash || memo.suspect);
  memo.hash = hash;
  memo.suspect = false;
  if (changed) {
    memo.asked = false;
    memo.skip = back_off(memo.changes);
    return;
  }
  if (memo.asked) return;
  memo.asked = true;
  questions_.push_back({frame, hash});
}

// Takes out of the proposals what would break up a huge page that is not worth it: too few of its frames, or a frame of
// another area, for which it is found out when that area's turn comes.
void Scanner::keep_huge_pages(uint64_t area) {
  const auto is_here = [&](const Proposal& proposal) { return area_of(proposal.frame) == area; };
  const bool worth_it = std::count_if(proposals_.begin(), proposals_.end(), is_here) >= config_.huge_threshold;
  const auto must_wait = [&](const Proposal& proposal) {
    return areas_[area_of(proposal.frame)].huge && !(is_here(proposal) && worth_it);
  };
  const bool rejected = std::any_of(proposals_.begin(), proposals_.end(),
                                    [&](const Proposal& proposal) { return is_here(proposal) && must_wait(proposal); });
  std::for_each(proposals_.begin(), proposals_.end(), [&](const Proposal& proposal) {
    if (must_wait(proposal)) put_off(proposal);
  });
  std::erase_if(proposals_, must_wait);
  if (rejected) {
    areas_[area].skip = back_off(areas_[area].rejections);
  } else {
    areas_[area].rejections = 0;
  }
}

void Scanner::put_off(const Proposal& proposal) {
  if (proposal.slot != kZeroPage) returned_.push_back(proposal.slot);
  memos_[proposal.frame].asked = false;
}

void Scanner::merge_and_return() {
  left_.clear();
  merger_.merge(proposals_, returned_, left_);
  for (const uint64_t frame : left_) memos_[frame].suspect = true;
  {
    const std::lock_guard lock(mapping_.mutex());
    mapping_.settle_or_arrange();
    mapping_.take_dropped(returned_);
  }
  if (!returned_.empty()) membership_.give_back(returned_);
  returned_.clear();
}

}  // namespace ksm
