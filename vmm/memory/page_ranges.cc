#include "vmm/memory/page_ranges.h"

#include <algorithm>

namespace twofold {

void append_runs(std::span<uint64_t> frames, std::vector<FrameRun>& runs) {
  // Guests give most frames in order, one way or the other, and a look costs less than a sort.
  if (!std::ranges::is_sorted(frames)) {
    if (std::ranges::is_sorted(frames, std::greater{})) {
      std::ranges::reverse(frames);
    } else {
      std::ranges::sort(frames);
    }
  }
  const size_t begin = runs.size();
  for (const uint64_t frame : frames) {
    if (runs.size() > begin) {
      FrameRun& last = runs.back();
      if (frame < last.end()) continue;  // given twice
      if (frame == last.end()) {
        ++last.count;
        continue;
      }
    }
    runs.push_back({frame, 1});
  }
}

void merge_runs(std::vector<FrameRun>& runs) {
  std::erase_if(runs, [](const FrameRun& run) { return run.count == 0; });
  std::ranges::sort(runs, {}, &FrameRun::first);
  size_t kept = 0;
  for (const FrameRun& run : runs) {
    if (kept > 0 && run.first <= runs[kept - 1].end()) {
      FrameRun& last = runs[kept - 1];
      last.count = std::max(last.end(), run.end()) - last.first;
    } else {
      runs[kept++] = run;
    }
  }
  runs.resize(kept);
}

}  // namespace twofold
