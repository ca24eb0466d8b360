#include "vmm/memory/guest_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/size.h"
#include "vmm/memory/layout.h"

namespace twofold {
namespace {

constexpr uint64_t kHole = layout::kHole;

TEST(GuestMemory, RefusesSizesThatAreNoPages) {
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{4097}}) {
    const auto memory = GuestMemory::create(bytes, kHole);
    ASSERT_FALSE(memory.has_value());
    EXPECT_THAT(memory.error().message, ::testing::HasSubstr("cannot give the guest"));
  }
}

TEST(GuestMemory, RefusesMoreThanTheAddressSpace) {
  const auto memory = GuestMemory::create(uint64_t{1} << 60, kHole);
  ASSERT_FALSE(memory.has_value());
  EXPECT_THAT(memory.error().message, ::testing::HasSubstr("cannot map 1048576 TiB of guest memory"));
}

TEST(GuestMemory, OneRangeBelowTheHole) {
  const auto memory = GuestMemory::create(1 * MiB, kHole);
  ASSERT_TRUE(memory.has_value());
  ASSERT_EQ(memory->ranges().size(), 1u);
  EXPECT_EQ(memory->ranges()[0].end(), Gpa{1 * MiB});
  EXPECT_EQ(memory->at(Gpa{0}, 1 * MiB).size(), 1 * MiB);
  EXPECT_EQ(memory->at(Gpa{1 * MiB - 1}, 1).size(), 1u);
  EXPECT_TRUE(memory->at(Gpa{1 * MiB - 1}, 2).empty());
  EXPECT_TRUE(memory->at(Gpa{1 * MiB}, 1).empty());
  EXPECT_TRUE(memory->at(Gpa{0}, 0).empty());
  EXPECT_TRUE(memory->at(Gpa{0}, ~uint64_t{0}).empty());
  EXPECT_TRUE(memory->at(Gpa{~uint64_t{0}}, 2).empty()) << "address + length wraps";
}

TEST(GuestMemory, RamUpToTheHoleExactlyIsOneRange) {
  const auto memory = GuestMemory::create(kHole, kHole);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->ranges().size(), 1u);
}

TEST(GuestMemory, GoesOnAboveTheHole) {
  const auto memory = GuestMemory::create(kHole + 2 * MiB, kHole);
  ASSERT_TRUE(memory.has_value());
  ASSERT_EQ(memory->ranges().size(), 2u);
  EXPECT_EQ(memory->ranges()[1].base, Gpa{layout::kAboveHole});
  EXPECT_EQ(memory->ranges()[1].bytes, 2 * MiB);
  EXPECT_EQ(memory->ranges()[1].offset, kHole);
  EXPECT_EQ(memory->at(Gpa{layout::kAboveHole}, 1).data(), memory->hva_base() + kHole);
  EXPECT_TRUE(memory->at(Gpa{kHole - 1}, 2).empty()) << "contiguous for the host, but not for the guest";
  EXPECT_TRUE(memory->at(Gpa{kHole}, 1).empty());
  EXPECT_TRUE(memory->at(Gpa{layout::kAboveHole - 1}, 1).empty());
  EXPECT_EQ(memory->at(Gpa{layout::kAboveHole + 2 * MiB - 1}, 1).size(), 1u);
  EXPECT_TRUE(memory->at(Gpa{layout::kAboveHole + 2 * MiB}, 1).empty());
}

TEST(GuestMemory, ReadsAndWritesWholeObjectsOnly) {
  const auto memory = GuestMemory::create(64 * KiB, kHole);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->read<uint64_t>(Gpa{0x1001}), 0u) << "RAM begins as zeros";
  EXPECT_TRUE(memory->write(Gpa{0x1001}, uint64_t{0x1122334455667788}));
  EXPECT_EQ(memory->read<uint32_t>(Gpa{0x1005}), 0x11223344u);
  EXPECT_TRUE(memory->write(Gpa{64 * KiB - 4}, uint32_t{7}));
  EXPECT_FALSE(memory->write(Gpa{64 * KiB - 3}, uint32_t{0xffffffff}));
  EXPECT_EQ(memory->read<uint32_t>(Gpa{64 * KiB - 4}), 7u) << "a refused write writes nothing";
  EXPECT_FALSE(memory->read<uint32_t>(Gpa{64 * KiB - 3}).has_value());
}

TEST(GuestMemory, MovesWithItsMapping) {
  auto first = GuestMemory::create(64 * KiB, kHole);
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE(first->write(Gpa{8}, 42));
  const GuestMemory second(std::move(*first));
  EXPECT_EQ(second.read<int>(Gpa{8}), 42);
  EXPECT_EQ(second.bytes(), 64 * KiB);
}

// The one layout header: ascending, apart, and where other parts rely on it.
TEST(Layout, RangesAreApartAndInOrder) {
  using namespace layout;
  EXPECT_LE(kBda + kBdaBytes, kPvhInfo);
  EXPECT_LE(kPvhInfo + kPvhInfoBytes, kMultibootInfo);
  EXPECT_LE(kMultibootInfo + kMultibootInfoBytes, kCmdline);
  EXPECT_LE(kCmdline + kCmdlineBytes, kEbda);
  EXPECT_LE(kEbda + kEbdaBytes, kReserved);
  EXPECT_LE(kReserved, kHighMemory);
  EXPECT_LE(kHighMemory, kInitrdLimit);
  EXPECT_LE(kInitrdLimit, layout::kHole);
  EXPECT_LE(layout::kHole, kVirtioMmio);
  EXPECT_LE(kVirtioMmio + kVirtioMmioMax * kVirtioMmioStride, kIoApic);
  EXPECT_LE(kIoApic + kPageSize, kLocalApic);
  EXPECT_LE(kLocalApic + kPageSize, kKvmIdentityMap);
  EXPECT_EQ(kKvmIdentityMap + kPageSize, kKvmTss);
  EXPECT_LE(kKvmIdentityMap + kKvmPagesBytes, kAboveHole);
  EXPECT_LT(kVirtioMmioFirstIrq + kVirtioMmioMax, 16u) << "reachable by the 8259s";
  EXPECT_GT(kVirtioMmioFirstIrq, kIrqCom1);
}

}  // namespace
}  // namespace twofold
