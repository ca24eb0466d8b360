#include "vmm/memory/reclaim.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>
#include <optional>
#include <random>

#include "vmm/base/size.h"
#include "vmm/memory/resident.h"

namespace twofold {
namespace {

constexpr uint64_t kBytes = 32 * MiB;
constexpr uint64_t kFrames = kBytes / kPageSize;

class ReclaimTest : public ::testing::Test {
 protected:
  void fill(uint64_t first, uint64_t count, int byte) {
    std::memset(memory_.hva_base() + first * kPageSize, byte, count * kPageSize);
  }
  [[nodiscard]] bool holds(uint64_t frame, int byte) const {
    const std::byte* page = memory_.hva_base() + frame * kPageSize;
    for (uint64_t i = 0; i < kPageSize; ++i) {
      if (page[i] != static_cast<std::byte>(byte)) return false;
    }
    return true;
  }
  void inflate(FrameRun run) { reclaim_.inflate(std::span(&run, 1)); }
  void deflate(FrameRun run) { reclaim_.deflate(std::span(&run, 1)); }

  GuestMemory memory_ = GuestMemory::create(kBytes, 16 * MiB).value();  // in two ranges
  Reclaim reclaim_{memory_};
};

TEST_F(ReclaimTest, KnowsTheFrameOfAnAddressInEitherRange) {
  EXPECT_EQ(reclaim_.frame_count(), kFrames);
  EXPECT_EQ(reclaim_.frame_of(Gpa{0}), 0u);
  EXPECT_EQ(reclaim_.frame_of(Gpa{0x5123}), 5u);
  EXPECT_EQ(reclaim_.frame_of(Gpa{16 * MiB - 1}), 16 * MiB / kPageSize - 1);
  EXPECT_EQ(reclaim_.frame_of(Gpa{16 * MiB}), std::nullopt) << "the hole";
  EXPECT_EQ(reclaim_.frame_of(Gpa{4 * GiB}), 16 * MiB / kPageSize);
  EXPECT_EQ(reclaim_.frame_of(Gpa{4 * GiB + 16 * MiB}), std::nullopt);
  EXPECT_EQ(reclaim_.frame_of(Gpa{UINT64_MAX}), std::nullopt);
}

TEST_F(ReclaimTest, OnlyWholeFramesOfABufferCount) {
  const std::byte* base = memory_.hva_base();
  EXPECT_EQ(reclaim_.whole_frames({base + kPageSize, 2 * kPageSize}), (FrameRun{1, 2}));
  EXPECT_EQ(reclaim_.whole_frames({base + 1, 3 * kPageSize}), (FrameRun{1, 2}));
  EXPECT_EQ(reclaim_.whole_frames({base + 1, kPageSize}).count, 0u);
  EXPECT_EQ(reclaim_.whole_frames({base + 1, 2 * kPageSize - 2}).count, 0u);
}

TEST_F(ReclaimTest, InflatingGivesTheMemoryBackAndShowsZeros) {
  fill(0, kFrames, 0x5a);
  const uint64_t before = resident_memory(memory_).resident_bytes;
  EXPECT_GE(before, kBytes);
  inflate({100, 2000});
  const uint64_t after = resident_memory(memory_).resident_bytes;
  EXPECT_EQ(before - after, 2000 * kPageSize);
  EXPECT_TRUE(holds(99, 0x5a));
  EXPECT_TRUE(holds(2100, 0x5a));
  EXPECT_EQ(reclaim_.state(100), FrameState::kBallooned);
  EXPECT_EQ(reclaim_.state(2100), FrameState::kOwn);
  for (uint64_t frame = 100; frame < 2100; frame += 37) EXPECT_TRUE(holds(frame, 0));
  const ReclaimStats stats = reclaim_.stats();
  EXPECT_EQ(stats.ballooned_bytes, 2000 * kPageSize);
  EXPECT_EQ(stats.inflated_bytes, 2000 * kPageSize);
  EXPECT_EQ(stats.discard_calls, 1u) << "a run is one system call";
  EXPECT_EQ(stats.failed_bytes, 0u);
}

TEST_F(ReclaimTest, WhatIsNamedBeyondTheEndIsCut) {
  inflate({kFrames - 1, 1000});
  EXPECT_EQ(reclaim_.stats().ballooned_bytes, kPageSize);
  inflate({kFrames, 5});
  inflate({UINT64_MAX / 2, 5});
  deflate({kFrames + 7, 5});
  EXPECT_EQ(reclaim_.stats().ballooned_bytes, kPageSize);
}

TEST_F(ReclaimTest, ReportedFramesAreDiscardedAndStayTheGuests) {
  fill(10, 10, 0x5a);
  const FrameRun run{12, 4};
  reclaim_.discard_free(std::span(&run, 1));
  EXPECT_EQ(reclaim_.state(12), FrameState::kOwn);
  EXPECT_TRUE(holds(12, 0));
  EXPECT_TRUE(holds(16, 0x5a));
  EXPECT_EQ(reclaim_.stats().reported_bytes, 4 * kPageSize);
  EXPECT_EQ(reclaim_.stats().ballooned_bytes, 0u);
}

// The huge pages at a run's two ends are cut, and split: at once, or when whoever was told says so.
TEST_F(ReclaimTest, CutPagesAreSplitOnceAndTogether) {
  constexpr uint64_t kAreaFrames = 512;
  inflate({kAreaFrames, 3 * kAreaFrames + 7});
  const uint64_t at_once = reclaim_.stats().split_calls;
  EXPECT_GE(at_once, 1u);
  EXPECT_LE(at_once, 2u) << "what lies between them is given up whole";
  inflate({kAreaFrames, 3 * kAreaFrames + 7});
  EXPECT_EQ(reclaim_.stats().split_calls, at_once) << "no huge page stands there any more";

  int told = 0;
  reclaim_.set_settler([&] { ++told; });
  for (uint64_t piece = 6 * kAreaFrames; piece < 7 * kAreaFrames; piece += 100) inflate({piece, 100});
  EXPECT_EQ(told, 1);
  EXPECT_EQ(reclaim_.stats().split_calls, at_once);
  reclaim_.settle();
  const uint64_t later = reclaim_.stats().split_calls;
  EXPECT_GT(later, at_once);
  EXPECT_LE(later, at_once + 12) << "two for each of six runs";
  reclaim_.settle();
  EXPECT_EQ(reclaim_.stats().split_calls, later);
  inflate({10 * kAreaFrames, 3});
  EXPECT_EQ(told, 2) << "and again after that";
  reclaim_.set_settler({});
}

// Whether the page belongs to a huge one, by the kernel's flags of the frame behind it; none where it does not tell.
std::optional<bool> is_part_of_a_huge_page(const std::byte* page) {
  constexpr uint64_t kThp = uint64_t{1} << 22;  // KPF_THP: Documentation/admin-guide/mm/pagemap.rst
  constexpr uint64_t kPfn = (uint64_t{1} << 55) - 1;
  const auto read_word = [](const char* path, uint64_t index) -> uint64_t {
    std::ifstream file;
    file.rdbuf()->pubsetbuf(nullptr, 0);  // these files are read in whole words
    file.open(path, std::ios::binary);
    uint64_t word = 0;
    file.seekg(static_cast<std::streamoff>(index * sizeof word));
    file.read(reinterpret_cast<char*>(&word), sizeof word);
    return file ? word : 0;
  };
  const uint64_t pfn = read_word("/proc/self/pagemap", reinterpret_cast<uint64_t>(page) / kPageSize) & kPfn;
  if (pfn == 0) return std::nullopt;
  return (read_word("/proc/kpageflags", pfn) & kThp) != 0;
}

// What is beside the first hole when it is made may be given up, too, and come back as a small page, before the pause.
TEST_F(ReclaimTest, AHugePageIsSplitWhateverHappensToItBeforeThePause) {
  (void)::madvise(memory_.hva_base(), kBytes, MADV_HUGEPAGE);
  const auto base = reinterpret_cast<uint64_t>(memory_.hva_base());
  const uint64_t first = (base + 2 * MiB - 1) / (2 * MiB) * (2 * MiB) / kPageSize - base / kPageSize;  // of an area
  fill(first, 512, 1);
  const std::byte* const far = memory_.hva_base() + (first + 400) * kPageSize;
  const auto before = is_part_of_a_huge_page(far);
  if (!before || !*before) GTEST_SKIP() << "no huge page to be had, or nobody to say so";
  int told = 0;
  reclaim_.set_settler([&] { ++told; });
  inflate({first + 10, 10});
  inflate({first + 5, 5});
  inflate({first + 20, 5});
  deflate({first + 5, 20});
  fill(first + 5, 20, 2);
  reclaim_.settle();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(is_part_of_a_huge_page(far), false);
  EXPECT_TRUE(holds(first + 400, 1));
  EXPECT_TRUE(holds(first + 12, 2));
  reclaim_.set_settler({});
}

// Any order of inflating, deflating, reporting and writing, against a model of what each frame holds.
TEST_F(ReclaimTest, AnyOrderOfThingsKeepsTheModel) {
  std::mt19937 random(3);
  std::vector<int> content(kFrames, 0);
  std::vector<bool> ballooned(kFrames, false);
  for (int turn = 0; turn < 1500; ++turn) {
    const FrameRun run{random() % kFrames, 1 + random() % 64};
    const uint64_t end = std::min(run.end(), kFrames);
    switch (random() % 4) {
      case 0:
        inflate(run);
        for (uint64_t i = run.first; i < end; ++i) content[i] = 0, ballooned[i] = true;
        break;
      case 1:
        deflate(run);
        for (uint64_t i = run.first; i < end; ++i) ballooned[i] = false;
        break;
      case 2:
        reclaim_.discard_free(std::span(&run, 1));
        for (uint64_t i = run.first; i < end; ++i) content[i] = 0;
        break;
      default: {
        const int byte = 1 + static_cast<int>(random() % 255);
        fill(run.first, end - run.first, byte);
        for (uint64_t i = run.first; i < end; ++i) content[i] = byte;
      }
    }
  }
  uint64_t in_balloon = 0;
  for (uint64_t i = 0; i < kFrames; ++i) {
    EXPECT_TRUE(holds(i, content[i])) << i;
    EXPECT_EQ(reclaim_.state(i) == FrameState::kBallooned, ballooned[i]) << i;
    in_balloon += ballooned[i] ? kPageSize : 0;
  }
  EXPECT_EQ(reclaim_.stats().ballooned_bytes, in_balloon);
}

}  // namespace
}  // namespace twofold
