#include "balloon-driver/pfn_batch.h"

#include <gtest/gtest.h>

#include <vector>

namespace balloon {
namespace {

TEST(PfnBatch, PacksLittleEndianInOrder) {
  PfnBatch batch;
  ASSERT_TRUE(batch.add(0x00000102));
  ASSERT_TRUE(batch.add(0xfffefdfc));
  const std::vector<uint8_t> expected = {0x02, 0x01, 0x00, 0x00, 0xfc, 0xfd, 0xfe, 0xff};
  ASSERT_EQ(batch.bytes(), expected.size());
  EXPECT_EQ(std::vector<uint8_t>(batch.data(), batch.data() + batch.bytes()), expected);
}

TEST(PfnBatch, TakesNoMoreThanARequestHolds) {
  PfnBatch batch;
  for (uint32_t i = 0; i < kMaxPfnsPerRequest; ++i) {
    EXPECT_FALSE(batch.full());
    EXPECT_TRUE(batch.add(i));
  }
  EXPECT_TRUE(batch.full());
  EXPECT_FALSE(batch.add(7));
  EXPECT_EQ(batch.count(), kMaxPfnsPerRequest);
  EXPECT_EQ(batch.bytes(), kMaxPfnsPerRequest * 4);
}

TEST(PfnBatch, StartsAnewAfterClear) {
  PfnBatch batch;
  ASSERT_TRUE(batch.add(1));
  batch.clear();
  EXPECT_EQ(batch.bytes(), 0U);
  ASSERT_TRUE(batch.add(0x11223344));
  EXPECT_EQ(batch.data()[0], 0x44);
}

}  // namespace
}  // namespace balloon
