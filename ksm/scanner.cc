#include "ksm/scanner.h"

#include <algorithm>
#include <numeric>

#include "ksm/page_hash.h"

namespace ksm {

namespace {

constexpr uint8_t kMaxChanges = 6;  // then a frame is looked at every 32nd pass

}  // namespace

Scanner::Scanner(Mapping& mapping, Membership& membership, Merger& merger, PageScan scan, ScanConfig config)
    : mapping_(mapping),
      membership_(membership),
      merger_(merger),
      scan_(std::move(scan)),
      config_(config),
      memos_(mapping.frames()),
      areas_((mapping.frames() + kAreaFrames - 1) / kAreaFrames) {
  std::iota(areas_.begin(), areas_.end(), 0);
  begin_pass();
}

void Scanner::begin_pass() {
  next_area_ = 0;
  if (config_.order == Order::kRandom) std::shuffle(areas_.begin(), areas_.end(), random_);
}

Scanner::Step Scanner::step(uint64_t frames) {
  Step step;
  while (step.frames < frames && next_area_ < areas_.size()) {
    const uint64_t first = areas_[next_area_++] * kAreaFrames;
    const Run area{first, std::min(kAreaFrames, mapping_.frames() - first)};
    scan_area(area);
    step.frames += area.count;
  }
  if (next_area_ == areas_.size()) {
    step.pass_ended = true;
    ++stats_.passes;
    begin_pass();
  }
  return step;
}

void Scanner::scan_area(Run area) {
  questions_.clear();
  proposals_.clear();
  bool huge = false;
  for (const PresentRun& present : scan_.find(mapping_.memory(), area)) {
    huge |= present.huge;
    drop_broken(present.run);
    for (uint64_t frame = present.run.first; frame < present.run.end(); ++frame) look_at(frame);
  }
  stats_.asked += questions_.size();
  const size_t zeros = proposals_.size();
  membership_.ask(mapping_.memory(), questions_, proposals_);
  if (huge) {
    // Not worth a huge page. Frames of other areas may be among them, and are merged.
    const auto here = [area](const Proposal& proposal) {
      return proposal.frame >= area.first && proposal.frame < area.end();
    };
    if (std::count_if(proposals_.begin(), proposals_.end(), here) < config_.huge_threshold) {
      for (size_t i = 0; i < proposals_.size(); ++i) {
        if (!here(proposals_[i])) continue;
        if (i >= zeros) returned_.push_back(proposals_[i].slot);
        memos_[proposals_[i].frame].asked = false;
      }
      std::erase_if(proposals_, here);
    }
  }
  merge_and_return();
}

// A frame that holds a reference and is private to the process again has been written to.
void Scanner::drop_broken(Run run) {
  const std::lock_guard lock(mapping_.mutex());
  for (uint64_t frame = run.first; frame < run.end(); ++frame) {
    if (mapping_.held_slot(frame) == kNoSlot) continue;
    mapping_.drop_broken(frame);
    ++stats_.broken;
  }
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
  const bool changed = !first_seen && memo.hash != hash;
  memo.hash = hash;
  if (changed) {
    memo.asked = false;
    memo.changes = static_cast<uint8_t>(std::min(memo.changes + 1, int{kMaxChanges}));
    memo.skip = static_cast<uint8_t>((1 << (memo.changes - 1)) - 1);
    return;
  }
  memo.changes = 0;
  if (memo.asked) return;
  memo.asked = true;
  questions_.push_back({frame, hash});
}

void Scanner::merge_and_return() {
  refused_.clear();
  merger_.merge(proposals_, returned_, refused_);
  for (const uint64_t frame : refused_) memos_[frame].asked = false;
  {
    const std::lock_guard lock(mapping_.mutex());
    mapping_.settle_or_arrange();
    mapping_.take_dropped(returned_);
  }
  if (!returned_.empty()) membership_.give_back(returned_);
  returned_.clear();
}

}  // namespace ksm
