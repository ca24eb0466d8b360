// Walks a memory's frames, again and again, and has those merged that are worth it.
//
// A frame is asked about when it is first seen, and again when its content has changed and then stayed the same for a
// whole pass. One that keeps changing is looked at ever more seldom. Between passes only a hash of each frame is kept.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "ksm/mapping.h"
#include "ksm/membership.h"
#include "ksm/merger.h"
#include "ksm/page_scan.h"

namespace ksm {

enum class Order : uint8_t {
  kAscending,  // as Linux's ksmd does
  kRandom,     // areas in random order, anew each pass (after ESX: Waldspurger, OSDI 2002, §4.2)
};

struct ScanConfig {
  Order order = Order::kAscending;
  // A huge page is broken up if at least so many of its 512 frames can be merged.
  uint32_t huge_threshold = 64;
};

struct ScanStats {
  uint64_t passes = 0;
  uint64_t hashed = 0;  // frames, in all passes
  uint64_t asked = 0;
  uint64_t broken = 0;    // frames found copied on write
  uint64_t changing = 0;  // frames that were passed over because they change too often
};

// For one thread. The mapping's lock is taken for moments.
class Scanner {
 public:
  // All three outlive it. REQUIRES: merging has started on the mapping
  Scanner(Mapping& mapping, Membership& membership, Merger& merger, PageScan scan, ScanConfig config);

  // Looks at the next `frames` frames or so, wherever the last call left off; at the end of a pass it returns early.
  // Returns how many, and whether a pass has ended.
  struct Step {
    uint64_t frames = 0;
    bool pass_ended = false;
  };
  Step step(uint64_t frames);

  // What was merged is merged no longer: every frame may be asked about again.
  void ask_again();

  [[nodiscard]] const ScanStats& stats() const { return stats_; }

 private:
  static constexpr uint64_t kAreaFrames = 512;

  // Of a frame.
  struct Memo {
    uint64_t hash = 0;     // 0: none yet
    uint8_t changes = 0;   // in the last passes in which it was looked at
    uint8_t skip = 0;      // passes to go by
    bool asked = false;    // about this hash
    bool suspect = false;  // written to, or not what it was taken for: it counts as changed, whatever its hash
  };
  // Of an area. One that is not worth its huge page is left alone for longer each time.
  struct Area {
    uint8_t rejections = 0;
    uint8_t skip = 0;  // passes to go by
    bool huge = false;
  };

  void begin_pass();
  [[nodiscard]] Run frames_of(uint64_t area) const;
  [[nodiscard]] uint64_t area_of(uint64_t frame) const { return (frame + shift_) / kAreaFrames; }
  void scan_area(uint64_t number);
  void look_at(uint64_t frame);
  void note_references(Run area, const std::vector<PresentRun>& present);
  void keep_huge_pages(uint64_t area);
  void put_off(const Proposal& proposal);
  void merge_and_return();

  Mapping& mapping_;
  Membership& membership_;
  Merger& merger_;
  PageScan scan_;
  const ScanConfig config_;
  const uint64_t shift_;         // frames by which the memory begins behind a boundary of huge pages
  std::vector<Memo> memos_;      // by frame
  std::vector<Area> areas_;      // by number
  std::vector<uint32_t> order_;  // of the areas in this pass
  size_t next_ = 0;              // in that order
  std::mt19937 random_{std::random_device{}()};
  ScanStats stats_;
  // Kept for their room:
  std::vector<Question> questions_;
  std::vector<Proposal> proposals_;
  std::vector<Slot> returned_;
  std::vector<uint64_t> left_;
};

}  // namespace ksm
