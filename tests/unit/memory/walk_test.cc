// The walk over tables written by hand: each mapping, each fault cause, each count.
#include "vmm/memory/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/size.h"
#include "vmm/memory/layout.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kPg = uint64_t{1} << 31;
constexpr uint64_t kPse = 1 << 4;
constexpr uint64_t kPae = 1 << 5;
constexpr uint64_t kLa57 = 1 << 12;
constexpr uint64_t kLongMode = 0x500;  // LME, LMA
constexpr uint64_t kNx = 0x800;
constexpr uint64_t kDirectory = 0x10000;
constexpr uint64_t kTable = 0x11000;

// Pages of which every 2 MiB are one, or each is its own; all present at frame HVA >> 12.
struct FakePagemap : PagemapSource {
  bool huge = false;
  [[nodiscard]] std::optional<uint64_t> entry(uint64_t hva) const override {
    return uint64_t{1} << 63 | (hva >> kPageShift);
  }
  [[nodiscard]] std::optional<uint64_t> categories(uint64_t) const override { return huge ? 1 << 6 : 0; }
};

class Walk : public ::testing::Test {
 protected:
  void set32(uint64_t table, uint32_t index, uint32_t value) {
    ASSERT_TRUE(memory_.write(Gpa{table + index * 4}, value));
  }
  void set64(uint64_t table, uint32_t index, uint64_t value) {
    ASSERT_TRUE(memory_.write(Gpa{table + index * 8}, value));
  }
  GuestWalk walk(uint64_t gva) { return walk_guest(memory_, paging_, Gva{gva}); }
  PagingState paging_{kPg, kDirectory, kPse, 0};
  GuestMemory memory_ = std::move(*GuestMemory::create(16 * MiB, layout::kHole));
};

TEST_F(Walk, GvaOf5123ThroughTwoLevels) {
  set32(kDirectory, 0, kTable | 0x27);
  set32(kTable, 5, 0x00abc000 | 0xe67);  // os bits 7, dirty, accessed, user, writable, present
  const GuestWalk w = walk(0x5123);
  EXPECT_EQ(w.fault, WalkFault::kNone);
  EXPECT_EQ(w.mode, PagingMode::kTwoLevel);
  EXPECT_EQ(w.gpa, Gpa{0xabc123});
  EXPECT_EQ(w.page_bytes, kPageSize);
  EXPECT_TRUE(w.writable && w.user && w.executable);
  ASSERT_EQ(w.steps.size(), 2u);
  EXPECT_EQ(w.steps[0].kind, EntryKind::kPde);
  EXPECT_EQ(w.steps[0].index, 0u);
  EXPECT_EQ(w.steps[0].entry, Gpa{kDirectory});
  EXPECT_EQ(w.steps[0].raw, kTable | 0x27);
  EXPECT_EQ(w.steps[0].target, Gpa{kTable});
  EXPECT_TRUE(w.steps[0].flags.accessed);
  EXPECT_FALSE(w.steps[0].flags.dirty);
  EXPECT_EQ(w.steps[1].kind, EntryKind::kPte);
  EXPECT_EQ(w.steps[1].index, 5u);
  EXPECT_EQ(w.steps[1].entry, Gpa{kTable + 20});
  EXPECT_EQ(w.steps[1].target, Gpa{0xabc000});
  EXPECT_TRUE(w.steps[1].flags.dirty);
  EXPECT_EQ(w.steps[1].flags.os_bits, 7);
}

TEST_F(Walk, EachFlagBitIsItsFlag) {
  set32(kDirectory, 0, kTable | 1);
  const auto flags_of = [&](uint32_t bits) {
    set32(kTable, 0, 0x1000 | bits | 1);
    return walk(0).steps.back().flags;
  };
  EXPECT_TRUE(flags_of(1 << 1).writable);
  EXPECT_TRUE(flags_of(1 << 2).user);
  EXPECT_TRUE(flags_of(1 << 3).write_through);
  EXPECT_TRUE(flags_of(1 << 4).cache_disable);
  EXPECT_TRUE(flags_of(1 << 5).accessed);
  EXPECT_TRUE(flags_of(1 << 6).dirty);
  EXPECT_TRUE(flags_of(1 << 8).global);
  const EntryFlags pat = flags_of(1 << 7);
  EXPECT_FALSE(pat.large) << "bit 7 of a PTE is PAT";
  const EntryFlags none = flags_of(0);
  EXPECT_TRUE(none.present);
  EXPECT_FALSE(none.writable || none.user || none.write_through || none.cache_disable || none.accessed || none.dirty ||
               none.global || none.large || none.no_execute);
}

TEST_F(Walk, EverySliceOfTheAddressChoosesItsEntry) {
  set32(kDirectory, 0x3ff, kTable | 3);
  set32(kTable, 0x3fe, 0x00222000 | 3);
  EXPECT_EQ(walk(0xffffefff).gpa, Gpa{0x222fff});
}

TEST_F(Walk, PermissionsAreWhatAllEntriesAllow) {
  set32(kTable, 0, 0x1000 | 7);
  set32(kDirectory, 0, kTable | 5);
  EXPECT_FALSE(walk(0).writable);
  EXPECT_TRUE(walk(0).user);
  set32(kDirectory, 0, kTable | 3);
  EXPECT_TRUE(walk(0).writable);
  EXPECT_FALSE(walk(0).user);
}

TEST_F(Walk, FourMebibytePage) {
  set32(kDirectory, 1, 0x00800000 | 0xe7);
  const GuestWalk w = walk(0x00712345);
  EXPECT_EQ(w.fault, WalkFault::kNone);
  EXPECT_EQ(w.gpa, Gpa{0x00b12345});
  EXPECT_EQ(w.page_bytes, 4 * MiB);
  ASSERT_EQ(w.steps.size(), 1u);
  EXPECT_TRUE(w.steps[0].flags.large && w.steps[0].flags.dirty);
}

TEST_F(Walk, PsCountsOnlyWithCr4Pse) {
  paging_.cr4 = 0;
  set32(kDirectory, 0, kTable | 0x87);
  set32(kTable, 0, 0x5000 | 7);
  const GuestWalk w = walk(0x10);
  EXPECT_EQ(w.gpa, Gpa{0x5010});
  EXPECT_FALSE(w.steps[0].flags.large);
}

TEST_F(Walk, Pse36ReachesAboveFourGibibytes) {
  set32(kDirectory, 0, 0x00400000 | 1 << 13 | 0x87);
  const GuestWalk w = walk(0x123);
  EXPECT_EQ(w.gpa, Gpa{0x1'0040'0123});
  EXPECT_EQ(w.fault, WalkFault::kPageOutsideRam);
}

TEST_F(Walk, PagingOffIsTheIdentity) {
  paging_.cr0 = 1;
  const GuestWalk w = walk(0x5123);
  EXPECT_EQ(w.mode, PagingMode::kOff);
  EXPECT_EQ(w.gpa, Gpa{0x5123});
  EXPECT_TRUE(w.steps.empty());
  EXPECT_EQ(w.page_bytes, 0u);
  EXPECT_EQ(walk(17 * MiB).fault, WalkFault::kPageOutsideRam);
}

TEST_F(Walk, NamesEachFault) {
  const auto name = [&](uint64_t gva) { return fault_name(walk(gva)); };
  EXPECT_EQ(name(0x5123), "pde-not-present");
  EXPECT_FALSE(walk(0x5123).gpa.has_value());
  set32(kDirectory, 0, kTable | 7);
  EXPECT_EQ(name(0x5123), "pte-not-present");
  set32(kTable, 5, 0xfffffffe);
  EXPECT_EQ(name(0x5123), "pte-not-present");
  EXPECT_FALSE(walk(0x5123).steps.back().flags.writable) << "bits of an absent entry are the OS's own";
  set32(kTable, 5, 0xfee00007);
  EXPECT_EQ(name(0x5123), "page-outside-ram");
  EXPECT_EQ(walk(0x5123).gpa, Gpa{0xfee00123});
  set32(kDirectory, 1, 0x40000007);
  EXPECT_EQ(name(0x400000), "pte-outside-ram");
  set32(kDirectory, 2, 0x00200087);
  EXPECT_EQ(name(0x800000), "pde-reserved-bits");
  EXPECT_EQ(name(0x1'0000'0000), "address-too-wide");
  paging_.cr3 = 0xfffff000;
  EXPECT_EQ(name(0x5123), "pde-outside-ram");
  EXPECT_FALSE(walk(0x5123).steps.back().read);
  paging_.cr4 = kPae;
  EXPECT_EQ(name(0x5123), "unsupported-mode");
  EXPECT_THAT(fault_text(walk(0)), HasSubstr("does not walk pae paging"));
}

TEST_F(Walk, ATableThatPointsToItselfEnds) {
  set32(kDirectory, 0, kDirectory | 7);
  const GuestWalk w = walk(0x123);
  EXPECT_EQ(w.gpa, Gpa{kDirectory + 0x123});
  EXPECT_EQ(w.steps.size(), 2u);
}

TEST_F(Walk, Cr3sLowBitsAreNoAddress) {
  paging_.cr3 = kDirectory | 0xfff;
  set32(kDirectory, 0, kTable | 7);
  set32(kTable, 0, 0x1000 | 7);
  EXPECT_EQ(walk(0).gpa, Gpa{0x1000});
}

class LongWalk : public Walk {
 protected:
  LongWalk() {
    paging_ = {kPg, 0x1000, kPae, kLongMode | kNx};
    set64(0x1000, 0x1ff, 0x2007);
    set64(0x2000, 0x1fe, 0x3007);
    set64(0x3000, 3, 0x4007);
    set64(0x4000, 5, 0x00abc007);
  }
  static constexpr uint64_t kGva = 0xffff'ffff'8060'5123;  // 511, 510, 3, 5, 0x123
};

TEST_F(LongWalk, FourLevels) {
  const GuestWalk w = walk(kGva);
  EXPECT_EQ(w.mode, PagingMode::kFourLevel);
  EXPECT_EQ(w.gpa, Gpa{0xabc123});
  ASSERT_EQ(w.steps.size(), 4u);
  EXPECT_EQ(w.steps[0].index, 511u);
  EXPECT_EQ(w.steps[1].index, 510u);
  EXPECT_EQ(w.steps[2].index, 3u);
  EXPECT_EQ(w.steps[3].index, 5u);
  EXPECT_STREQ(to_string(w.steps[0].kind), "PML4E");
  EXPECT_EQ(fault_name(walk(kGva & 0x0000'ffff'ffff'ffff)), "address-too-wide") << "not canonical";
}

TEST_F(LongWalk, LargePages) {
  set64(0x3000, 3, 0x00600087);
  EXPECT_EQ(walk(kGva).gpa, Gpa{0x605123});
  EXPECT_EQ(walk(kGva).page_bytes, 2 * MiB);
  set64(0x3000, 3, 0x00602087);
  EXPECT_EQ(fault_name(walk(kGva)), "pde-reserved-bits");
  set64(0x2000, 0x1fe, 0x87);
  EXPECT_EQ(walk(kGva).page_bytes, 1 * GiB);
  EXPECT_EQ(walk(kGva).gpa, Gpa{0x605123});
  set64(0x1000, 0x1ff, 0x2087);
  EXPECT_EQ(fault_name(walk(kGva)), "pml4e-reserved-bits");
}

TEST_F(LongWalk, NoExecute) {
  set64(0x4000, 5, 0x8000'0000'00ab'c007);
  EXPECT_FALSE(walk(kGva).executable);
  EXPECT_EQ(walk(kGva).gpa, Gpa{0xabc123}) << "bit 63 is no address";
  paging_.efer &= ~kNx;
  EXPECT_EQ(fault_name(walk(kGva)), "pte-reserved-bits");
}

TEST_F(LongWalk, FiveLevelsAreNotWalked) {
  paging_.cr4 |= kLa57;
  EXPECT_EQ(fault_name(walk(kGva)), "unsupported-mode");
}

TEST(References, TheFormula) {
  EXPECT_EQ(count_references(4, 4), 24u);
  EXPECT_EQ(count_references(2, 4), 14u);
  EXPECT_EQ(count_references(1, 4), 9u);
  EXPECT_EQ(count_references(2, 3), 11u);
  EXPECT_EQ(count_references(1, 3), 7u);
  EXPECT_EQ(count_references(2, 0), 2u) << "without a second dimension";
  EXPECT_EQ(count_references(0, 4), 4u) << "with guest paging off";
}

TEST_F(Walk, SecondDimensionTranslatesEveryAddressOfTheFirst) {
  set32(kDirectory, 0, kTable | 7);
  set32(kTable, 5, 0x00abc000 | 7);
  const auto w = walk_two_dimensions(memory_, FakePagemap{}, paging_, Gva{0x5123});
  ASSERT_EQ(w.host.size(), 3u);
  const uint64_t gpas[] = {kDirectory, kTable + 20, 0xabc123};
  for (size_t i = 0; i < 3; ++i) {
    const auto hva = reinterpret_cast<uint64_t>(memory_.hva_base()) + gpas[i];
    EXPECT_EQ(w.host[i].gpa.value, gpas[i]);
    EXPECT_EQ(w.host[i].hva, hva);
    EXPECT_EQ(w.host[i].page.pfn, hva >> kPageShift);
  }
  EXPECT_EQ(count_references(w), 14u);
}

TEST_F(Walk, CountsUpToAFault) {
  const FakePagemap pagemap;
  EXPECT_EQ(count_references(walk_two_dimensions(memory_, pagemap, paging_, Gva{0})), 5u);
  set32(kDirectory, 0, kTable | 7);
  EXPECT_EQ(count_references(walk_two_dimensions(memory_, pagemap, paging_, Gva{0})), 10u);
  paging_.cr3 = 0x80000000;
  EXPECT_EQ(count_references(walk_two_dimensions(memory_, pagemap, paging_, Gva{0})), 4u) << "nothing to read there";
}

TEST_F(Walk, HugeHostPagesSaveALevelOnlyWhereBothSidesAgree) {
  set32(kDirectory, 0, kTable | 7);
  set32(kTable, 5, 0x00abc000 | 7);
  FakePagemap pagemap;
  pagemap.huge = true;
  const auto w = walk_two_dimensions(memory_, pagemap, paging_, Gva{0x5123});
  const bool agree = reinterpret_cast<uint64_t>(memory_.hva_base()) % (2 * MiB) == 0;
  EXPECT_EQ(w.host[0].nested_page_bytes, agree ? 2 * MiB : kPageSize);
  EXPECT_EQ(count_references(w), agree ? 11u : 14u);
}

}  // namespace
}  // namespace twofold
