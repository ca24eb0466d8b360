// The library as a whole, on memory of this process.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/support/merged_memory.h"

namespace ksm {
namespace {

using testing::fill_page;
using testing::holds_page;
using testing::Memory;
using testing::MergedMemory;

constexpr uint64_t kFrames = 4096;  // 16 MiB

class MergeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why_not = MergedMemory::why_not();
    if (!why_not.empty()) GTEST_SKIP() << why_not;
    domain_ = LocalDomain::create(2 * kFrames, &error_);
    ASSERT_TRUE(domain_) << error_;
    memory_.emplace(*domain_, kFrames);
  }
  void fill(uint64_t frame, uint64_t number) { fill_page(memory_->at(frame), number); }

  std::string error_;
  std::unique_ptr<LocalDomain> domain_;
  std::optional<MergedMemory> memory_;
};

// What the kernel's map of this process says of a range: its areas, and the private pages in them.
struct Areas {
  uint64_t count = 0;
  uint64_t private_bytes = 0;
};
Areas areas_within(const std::byte* memory, uint64_t bytes) {
  const auto begin = reinterpret_cast<uint64_t>(memory);
  std::ifstream smaps("/proc/self/smaps");
  Areas areas;
  bool within = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long from = 0, to = 0, kib = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &from, &to) == 2) {
      within = from < begin + bytes && to > begin;
      areas.count += within ? 1 : 0;
    } else if (within && std::sscanf(line.c_str(), "Private_Dirty: %llu kB", &kib) == 1) {
      areas.private_bytes += kib * 1024;
    }
  }
  return areas;
}

TEST_F(MergeTest, EqualPagesBecomeOneAndUnequalOnesDoNot) {
  for (uint64_t i = 0; i < 100; ++i) fill(i, 1 + i % 10);
  for (uint64_t i = 100; i < 150; ++i) fill(i, 1000 + i);
  memory_->pass();
  memory_->pass();
  EXPECT_EQ(memory_->stats().merged, 100u);
  EXPECT_EQ(domain_->stats().slots_filled, 10u);
  EXPECT_EQ(domain_->stats().users, 100u);
  EXPECT_EQ(domain_->stats().candidates, 50u);
  for (uint64_t i = 0; i < 100; ++i) EXPECT_TRUE(holds_page(memory_->at(i), 1 + i % 10)) << i;
  for (uint64_t i = 100; i < 150; ++i) EXPECT_TRUE(holds_page(memory_->at(i), 1000 + i)) << i;
  EXPECT_EQ(areas_within(memory_->at(0), kFrames * kPageBytes).private_bytes, 50 * kPageBytes);
}

TEST_F(MergeTest, AWriteBreaksASharedPageForTheWriterAlone) {
  for (uint64_t i = 0; i < 4; ++i) fill(i, 7);
  memory_->pass();
  memory_->pass();
  ASSERT_EQ(memory_->stats().merged, 4u);
  memory_->at(1)[5] = std::byte{0xff};
  EXPECT_TRUE(holds_page(memory_->at(0), 7));
  EXPECT_TRUE(holds_page(memory_->at(2), 7));
  EXPECT_EQ(memory_->at(1)[5], std::byte{0xff});
  memory_->pass();
  EXPECT_EQ(memory_->held_slot(1), kNoSlot) << "the pass has seen that it is broken";
  EXPECT_EQ(domain_->stats().users, 3u);
  // Written back to what it was, it is merged again once it has stayed so for a pass.
  fill(1, 7);
  for (int i = 0; i < 4; ++i) memory_->pass();
  EXPECT_EQ(domain_->stats().users, 4u);
}

TEST_F(MergeTest, PagesOfZerosAreDropped) {
  for (uint64_t i = 0; i < 64; ++i) fill(i, 0);
  EXPECT_EQ(areas_within(memory_->at(0), kFrames * kPageBytes).private_bytes, 64 * kPageBytes);
  memory_->pass();
  EXPECT_EQ(memory_->stats().zeros, 64u);
  EXPECT_EQ(areas_within(memory_->at(0), kFrames * kPageBytes).private_bytes, 0u);
  for (uint64_t i = 0; i < 64; ++i) EXPECT_TRUE(holds_page(memory_->at(i), 0));
  memory_->pass();
  EXPECT_EQ(memory_->stats().zeros, 64u) << "reading them has not made them pages again";
}

// FACTS of the kernel, trap: MADV_DONTNEED there would show the pool's page.
TEST_F(MergeTest, ADiscardedSharedPageShowsZeros) {
  for (uint64_t i = 0; i < 8; ++i) fill(i, 7);
  memory_->pass();
  memory_->pass();
  ASSERT_EQ(domain_->stats().users, 8u);
  memory_->at(3)[0] = std::byte{1};  // broken, and nobody has noticed yet
  memory_->discard({2, 3});
  for (uint64_t i = 0; i < 8; ++i) EXPECT_TRUE(holds_page(memory_->at(i), i >= 2 && i < 5 ? 0 : 7)) << i;
  memory_->pass();
  EXPECT_EQ(domain_->stats().users, 5u) << "their references are given back";
}

TEST_F(MergeTest, TheLastReferenceFreesTheSlot) {
  for (uint64_t i = 0; i < 8; ++i) fill(i, 7);
  memory_->pass();
  memory_->pass();
  ASSERT_EQ(domain_->stats().slots_filled, 1u);
  memory_->discard({0, 8});
  memory_->pass();
  EXPECT_EQ(domain_->stats().slots_filled, 0u);
  EXPECT_EQ(domain_->stats().users, 0u);
}

TEST_F(MergeTest, AdjacentPagesAreMergedInOneGo) {
  for (uint64_t i = 0; i < 512; ++i) fill(i, 1 + i), fill(2048 + i, 1 + i);
  memory_->pass();
  memory_->pass();
  EXPECT_EQ(memory_->stats().merged, 1024u);
  EXPECT_LE(memory_->stats().merge_calls, 2 * 512 / Merger::kSpan + 4);
  EXPECT_LE(memory_->mapping().stats().areas, 6u);
}

TEST_F(MergeTest, TheBudgetForAreasIsKept) {
  memory_.emplace(*domain_, kFrames, ScanConfig{}, Memory::Huge::kNo, WriteProtection::kOn, AreaBudget{20, 40});
  for (uint64_t i = 0; i < 400; i += 2) fill(i, 7), fill(i + 1, 10'000 + i);
  memory_->pass();
  memory_->pass();
  EXPECT_LE(areas_within(memory_->at(0), kFrames * kPageBytes).count, 22u);
  EXPECT_GT(memory_->stats().refused, 0u);
  EXPECT_GT(memory_->stats().merged, 5u);
  for (uint64_t i = 0; i < 400; i += 2)
    EXPECT_TRUE(holds_page(memory_->at(i), 7) && holds_page(memory_->at(i + 1), 10'000 + i));
}

// What this counts as areas is what the kernel counts, or its headroom would be none.
TEST_F(MergeTest, AreasAreCountedAsTheKernelDoes) {
  const auto expect_same = [&](const char* when) {
    // Two at the ends may belong to a mapping beside the memory.
    EXPECT_NEAR(static_cast<double>(memory_->mapping().stats().areas),
                static_cast<double>(areas_within(memory_->at(0), kFrames * kPageBytes).count), 2)
        << when;
  };
  for (uint64_t i = 0; i < 1200; i += 2) fill(i, 7), fill(i + 1, 10'000 + i);
  memory_->pass();
  memory_->pass();
  ASSERT_GT(memory_->mapping().stats().areas, 1000u);
  expect_same("600 lone pages merged");
  for (uint64_t i = 0; i < 1200; i += 4) memory_->discard({i, 1});
  expect_same("every other one discarded");
  for (uint64_t i = 0; i < 1200; i += 4) fill(i, 8);
  expect_same("and written to");
  for (int i = 0; i < 3; ++i) memory_->pass();
  expect_same("and merged again");
  memory_->discard({0, kFrames});
  expect_same("all discarded");
}

// A page that is written to and then holds what it held before is merged anew; and so is everything after unsharing.
TEST_F(MergeTest, WhatHoldsTheSameAgainIsMergedAgain) {
  for (uint64_t i = 0; i < 64; ++i) fill(i, 7);
  memory_->pass();
  memory_->pass();
  ASSERT_EQ(domain_->stats().users, 64u);
  for (uint64_t i = 0; i < 64; ++i) fill(i, 7);
  memory_->pass();
  ASSERT_EQ(domain_->stats().users, 0u) << "every copy was found";
  for (int i = 0; i < 4; ++i) memory_->pass();
  EXPECT_EQ(domain_->stats().users, 64u) << "after stores of the same bytes";
  memory_->discard({0, 64});
  memory_->pass();
  for (uint64_t i = 0; i < 64; ++i) fill(i, 7);
  for (int i = 0; i < 4; ++i) memory_->pass();
  EXPECT_EQ(domain_->stats().users, 64u) << "after they were gone for a while";
  {
    const std::lock_guard lock(memory_->mapping().mutex());
    EXPECT_TRUE(memory_->mapping().unshare({0, kFrames}));
  }
  memory_->scanner().ask_again();
  for (int i = 0; i < 4; ++i) memory_->pass();
  EXPECT_EQ(domain_->stats().users, 64u) << "after unsharing";
}

// Frames of zeros side by side, some of which show the pool: each kind takes a system call of its own, and one that the
// kernel refuses must leave nobody blocked.
TEST_F(MergeTest, ARefusedPartOfADropBlocksNobody) {
  memory_.emplace(*domain_, kFrames, ScanConfig{}, Memory::Huge::kNo, WriteProtection::kOn, AreaBudget{200, 4});
  for (uint64_t i = 0; i < 40; i += 2) fill(i, 7);
  memory_->pass();
  memory_->pass();
  ASSERT_GT(memory_->mapping().stats().areas, 20u) << "beyond the budget for discarding shared frames";
  for (uint64_t i = 0; i < 40; ++i) fill(i, 0);
  const uint64_t refused = memory_->stats().refused;
  for (int i = 0; i < 3; ++i) memory_->pass();
  EXPECT_GT(memory_->stats().refused, refused);
  for (uint64_t i = 0; i < 40; ++i) fill(i, 100 + i);  // hangs if one is still protected
  for (uint64_t i = 0; i < 40; ++i) EXPECT_TRUE(holds_page(memory_->at(i), 100 + i));
}

TEST_F(MergeTest, UnsharingGivesEveryFrameItsOwnCopy) {
  for (uint64_t i = 0; i < 32; ++i) fill(i, 7 + i % 2);
  memory_->pass();
  memory_->pass();
  ASSERT_EQ(domain_->stats().users, 32u);
  {
    const std::lock_guard lock(memory_->mapping().mutex());
    EXPECT_TRUE(memory_->mapping().unshare({0, kFrames}));
  }
  for (uint64_t i = 0; i < 32; ++i) EXPECT_EQ(memory_->held_slot(i), kNoSlot);
  for (uint64_t i = 0; i < 32; ++i) EXPECT_TRUE(holds_page(memory_->at(i), 7 + i % 2));
}

TEST_F(MergeTest, TwoMemoriesOfADomainShareAndOthersDoNot) {
  MergedMemory second(*domain_, kFrames);
  const auto other_domain = LocalDomain::create(kFrames, &error_);
  MergedMemory stranger(*other_domain, kFrames);
  for (uint64_t i = 0; i < 16; ++i) {
    for (MergedMemory* memory : {&*memory_, &second, &stranger}) fill_page(memory->at(i), 50 + i);
  }
  for (int i = 0; i < 3; ++i) {
    for (MergedMemory* memory : {&*memory_, &second, &stranger}) memory->pass();
  }
  EXPECT_EQ(domain_->stats().slots_filled, 16u);
  EXPECT_EQ(domain_->stats().users, 32u);
  EXPECT_EQ(other_domain->stats().slots_filled, 0u);
  second.at(3)[0] = std::byte{9};
  EXPECT_TRUE(holds_page(memory_->at(3), 53));
  EXPECT_TRUE(holds_page(stranger.at(3), 53));
}

TEST_F(MergeTest, AHugePageIsBrokenUpOnlyWhereItPays) {
  memory_.emplace(*domain_, kFrames, ScanConfig{.order = Order::kAscending, .huge_threshold = 64}, Memory::Huge::kYes);
  for (uint64_t i = 0; i < 1024; ++i) fill(i, 10'000 + i);
  std::string ignored;
  auto scan = PageScan::open(&ignored);
  if (scan->find(memory_->at(0), {0, 1}).empty() || !scan->find(memory_->at(0), {0, 1})[0].huge) {
    GTEST_SKIP() << "the host has no huge page for us";
  }
  const uint64_t before = areas_within(memory_->at(0), kFrames * kPageBytes).private_bytes;
  for (uint64_t i = 0; i < 62; ++i) fill(i, 7);          // of the first: too few, and the next makes 63
  for (uint64_t i = 512; i < 512 + 64; ++i) fill(i, 8);  // of the second: enough
  fill(100, 9);                                          // of the first, with a twin in the second
  fill(600, 9);
  for (int i = 0; i < 3; ++i) memory_->pass();
  EXPECT_EQ(memory_->held_slot(0), kNoSlot);
  EXPECT_EQ(memory_->held_slot(100), kNoSlot) << "not by the back door either";
  EXPECT_TRUE(scan->find(memory_->at(0), {0, 1})[0].huge);
  EXPECT_NE(memory_->held_slot(512), kNoSlot);
  EXPECT_LE(areas_within(memory_->at(0), kFrames * kPageBytes).private_bytes, before - 64 * kPageBytes);
}

// Hashes propose and do not decide.
TEST_F(MergeTest, ALieAboutAHashMergesNothing) {
  const auto membership = domain_->join();
  std::vector<Proposal> proposals;
  Memory own(4);
  for (uint64_t i = 0; i < 4; ++i) fill_page(own.at(i), 60 + i);
  const uint64_t hash = page_hash(Page(own.at(0), kPageBytes), membership->key());
  const Question lies[] = {{0, hash}, {1, hash}, {2, hash}};
  membership->ask(own.begin(), lies, proposals);
  EXPECT_TRUE(proposals.empty()) << "frame 1 is not what it is said to be, and so becomes no slot";
  EXPECT_EQ(domain_->stats().torn, 2u);

  // A proposal for a frame with other content is turned down by whoever compares.
  std::vector<Proposal> wrong;
  fill_page(own.at(1), 60);
  const Question truths[] = {{0, hash}, {1, hash}};
  membership->ask(own.begin(), truths, wrong);
  ASSERT_FALSE(wrong.empty());
  const Slot slot = wrong[0].slot;
  std::vector<Slot> slots;
  for (const Proposal& proposal : wrong) slots.push_back(proposal.slot);
  fill(0, 61);
  Merger merger(memory_->mapping(), *membership, AreaBudget::of_this_process());
  std::vector<Proposal> mine = {{0, slot}};
  std::vector<Slot> unused;
  std::vector<uint64_t> refused;
  merger.merge(mine, unused, refused);
  EXPECT_EQ(unused, std::vector<Slot>{slot});
  EXPECT_EQ(merger.stats().mismatched, 1u);
  EXPECT_TRUE(holds_page(memory_->at(0), 61));
  membership->give_back(slots);
}

// Any order of writing, merging, discarding and unsharing, against a model of what each frame holds.
TEST_F(MergeTest, AnyOrderOfThingsKeepsTheModel) {
  std::mt19937 random(9);
  std::vector<uint64_t> model(kFrames, 0);
  for (int turn = 0; turn < 400; ++turn) {
    const uint64_t first = random() % kFrames;
    const ksm::Run run{first, std::min<uint64_t>(1 + random() % 200, kFrames - first)};
    switch (random() % 5) {
      case 0:
      case 1:
        for (uint64_t i = run.first; i < run.end(); ++i) fill(i, model[i] = random() % 12);
        break;
      case 2:
        memory_->discard(run);
        for (uint64_t i = run.first; i < run.end(); ++i) model[i] = 0;
        break;
      case 3:
        (void)memory_->scanner().step(1 + random() % kFrames);
        break;
      default: {
        const std::lock_guard lock(memory_->mapping().mutex());
        (void)memory_->mapping().unshare(run);
      }
    }
  }
  memory_->pass();
  for (uint64_t i = 0; i < kFrames; ++i) ASSERT_TRUE(holds_page(memory_->at(i), model[i])) << i;
  uint64_t users = 0;
  for (uint64_t i = 0; i < kFrames; ++i) users += memory_->held_slot(i) == kNoSlot ? 0 : 1;
  EXPECT_EQ(domain_->stats().users, users) << "every reference is somebody's";
  EXPECT_GT(memory_->stats().merged, 1000u);
}

}  // namespace
}  // namespace ksm
