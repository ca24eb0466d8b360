#include "ksm/pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/support/merged_memory.h"

namespace ksm {
namespace {

using testing::fill_page;
using testing::holds_page;

class PoolTest : public ::testing::Test {
 protected:
  Slot fill(uint64_t number) {
    std::byte page[kPageBytes];
    fill_page(page, number);
    return pool_.fill(page);
  }
  [[nodiscard]] uint64_t bytes_in_memory() const {
    struct stat about = {};
    EXPECT_EQ(::fstat(pool_.read_only(), &about), 0);
    return static_cast<uint64_t>(about.st_blocks) * 512;
  }

  std::string error_;
  Pool pool_ = Pool::create(8, &error_).value();
};

TEST_F(PoolTest, SlotsAreFilledSideBySideAndHoldWhatTheyWereGiven) {
  EXPECT_EQ(bytes_in_memory(), 0u);
  for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(fill(100 + i), i);
  EXPECT_EQ(fill(1), kNoSlot) << "full";
  for (Slot i = 0; i < 8; ++i) EXPECT_TRUE(holds_page(pool_.page(i).data(), 100 + i));
  EXPECT_EQ(pool_.filled(), 8u);
  EXPECT_EQ(bytes_in_memory(), 8 * kPageBytes);
}

TEST_F(PoolTest, TheLastUserTakesTheMemoryAlong) {
  const Slot slot = fill(5);
  pool_.add_user(slot);
  pool_.add_user(slot);
  EXPECT_FALSE(pool_.remove_user(slot));
  EXPECT_TRUE(holds_page(pool_.page(slot).data(), 5));
  EXPECT_TRUE(pool_.remove_user(slot));
  EXPECT_EQ(bytes_in_memory(), 0u);
  EXPECT_EQ(pool_.filled(), 0u);
}

TEST_F(PoolTest, FreedSlotsAreFoundAgain) {
  for (uint64_t i = 0; i < 8; ++i) pool_.add_user(fill(100 + i));
  for (const Slot slot : {2, 5, 6}) EXPECT_TRUE(pool_.remove_user(slot));
  EXPECT_EQ(fill(1), 2u);
  EXPECT_EQ(fill(2), 5u);
  EXPECT_EQ(fill(3), 6u);
  EXPECT_EQ(fill(4), kNoSlot);
  EXPECT_TRUE(holds_page(pool_.page(6).data(), 3));
}

// A virtual machine gets this descriptor: it can do nothing to the others through it.
TEST_F(PoolTest, TheDescriptorForOthersCanOnlyBeMappedPrivately) {
  const Slot slot = fill(5);
  const int fd = pool_.read_only();
  EXPECT_EQ(::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_NE(::pwrite(fd, "x", 1, 0), 1);
  EXPECT_NE(::ftruncate(fd, 0), 0);
  void* const mapping = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  ASSERT_NE(mapping, MAP_FAILED);
  fill_page(static_cast<std::byte*>(mapping), 6);
  EXPECT_TRUE(holds_page(pool_.page(slot).data(), 5));
  ::munmap(mapping, kPageBytes);
}

}  // namespace
}  // namespace ksm
