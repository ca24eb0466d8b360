#include "vmm/memory/page_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<FrameRun> runs_of(std::vector<uint64_t> frames) {
  std::vector<FrameRun> runs;
  append_runs(frames, runs);
  return runs;
}

TEST(PageRanges, FramesBecomeRuns) {
  EXPECT_THAT(runs_of({}), IsEmpty());
  EXPECT_THAT(runs_of({7}), ElementsAre(FrameRun{7, 1}));
  EXPECT_THAT(runs_of({1, 2, 3, 5, 6, 9}), ElementsAre(FrameRun{1, 3}, FrameRun{5, 2}, FrameRun{9, 1}));
  EXPECT_THAT(runs_of({9, 6, 5, 3, 2, 1}), ElementsAre(FrameRun{1, 3}, FrameRun{5, 2}, FrameRun{9, 1}));
  EXPECT_THAT(runs_of({5, 5, 6, 6, 5}), ElementsAre(FrameRun{5, 2}));
}

TEST(PageRanges, AppendsBehindWhatIsThere) {
  std::vector<FrameRun> runs = {{1, 2}};
  std::vector<uint64_t> frames = {3, 4};
  append_runs(frames, runs);
  EXPECT_THAT(runs, ElementsAre(FrameRun{1, 2}, FrameRun{3, 2})) << "another request's run is not touched";
}

std::set<uint64_t> frames_of(const std::vector<FrameRun>& runs) {
  std::set<uint64_t> frames;
  for (const FrameRun& run : runs) {
    for (uint64_t frame = run.first; frame < run.end(); ++frame) frames.insert(frame);
  }
  return frames;
}

void expect_minimal(const std::vector<FrameRun>& runs) {
  for (size_t i = 0; i < runs.size(); ++i) {
    EXPECT_GT(runs[i].count, 0u);
    if (i == 0) continue;
    EXPECT_GT(runs[i].first, runs[i - 1].end()) << "ascending, and none touches the next";
  }
}

// Whatever the list: the same frames, each once, in as few runs as can be.
TEST(PageRanges, AnyListOfFramesIsKept) {
  std::mt19937 random(1);
  for (int turn = 0; turn < 2000; ++turn) {
    const uint64_t span = 1 + random() % 300;
    std::vector<uint64_t> frames(random() % 200);
    for (uint64_t& frame : frames) frame = random() % span;
    const std::set<uint64_t> wanted(frames.begin(), frames.end());
    const auto runs = runs_of(frames);
    EXPECT_EQ(frames_of(runs), wanted);
    expect_minimal(runs);
  }
}

TEST(PageRanges, AnyListOfRunsIsMerged) {
  std::mt19937 random(2);
  for (int turn = 0; turn < 2000; ++turn) {
    std::vector<FrameRun> runs(random() % 20);
    for (FrameRun& run : runs) run = {random() % 200, random() % 12};
    const auto wanted = frames_of(runs);
    merge_runs(runs);
    EXPECT_EQ(frames_of(runs), wanted);
    expect_minimal(runs);
  }
}

}  // namespace
}  // namespace twofold
