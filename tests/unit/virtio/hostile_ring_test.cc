// Rings that no honest driver writes. Each breaks the queue, and nothing else.
#include <gtest/gtest.h>
#include <linux/virtio_ring.h>

#include <array>
#include <string>

#include "tests/support/virtio_driver.h"
#include "vmm/virtio/split_queue.h"

namespace twofold {
namespace {

using testing::DriverQueue;

constexpr uint64_t kRamBytes = 1 << 20;
constexpr uint16_t kSize = 8;
constexpr uint64_t kData = 0x10000;
constexpr uint16_t kNext = VRING_DESC_F_NEXT;
constexpr uint16_t kWrite = VRING_DESC_F_WRITE;
constexpr uint16_t kIndirect = VRING_DESC_F_INDIRECT;

class HostileRing : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(queue_.start(memory_, driver_.layout(), kSize, 1u << VIRTIO_RING_F_INDIRECT_DESC));
  }

  void describe(uint16_t index, uint64_t gpa, uint32_t length, uint16_t flags, uint16_t next = 0) {
    driver_.write_descriptor(index, {gpa, length, flags, next});
  }
  void indirect_entry(uint16_t index, uint64_t gpa, uint32_t length, uint16_t flags, uint16_t next = 0) {
    ASSERT_TRUE(memory_.write(Gpa{0x8000} + sizeof(vring_desc) * index, vring_desc{gpa, length, flags, next}));
  }
  void offer(uint16_t head) {
    driver_.write_ring(0, head);
    driver_.write_available_index(1);
  }
  // The chain at `head` is refused, for a reason that has `word` in it, and the queue stays broken.
  void expect_refused(uint16_t head, const std::string& word) {
    offer(head);
    EXPECT_FALSE(queue_.pop());
    EXPECT_TRUE(queue_.broken());
    EXPECT_NE(std::string(queue_.broken_reason()).find(word), std::string::npos) << queue_.broken_reason();
    describe(0, kData, 1, 0);
    driver_.write_available_index(2);
    EXPECT_FALSE(queue_.pop()) << "broken stays broken";
    EXPECT_FALSE(queue_.allow_notifications());
  }

  GuestMemory memory_ = GuestMemory::create(kRamBytes, kRamBytes / 2).value();  // two ranges
  DriverQueue driver_{memory_, Gpa{0x1000}, kSize};
  SplitQueue queue_;
};

TEST_F(HostileRing, TheControlIsAccepted) {
  describe(3, kData, 16, kNext, 4);
  describe(4, kData, 16, kWrite);
  offer(3);
  EXPECT_TRUE(queue_.pop());
  EXPECT_FALSE(queue_.broken());
}

TEST_F(HostileRing, HeadBeyondTheTable) {
  expect_refused(kSize, "beyond the table");
}

TEST_F(HostileRing, NextBeyondTheTable) {
  describe(0, kData, 16, kNext, 0xffff);
  expect_refused(0, "beyond the table");
}

TEST_F(HostileRing, ALoopOfOne) {
  describe(0, kData, 16, kNext, 0);
  expect_refused(0, "more descriptors");
}

TEST_F(HostileRing, ALoopOfAll) {
  for (uint16_t i = 0; i < kSize; ++i) describe(i, kData, 16, kNext, (i + 1) % kSize);
  expect_refused(0, "more descriptors");
}

TEST_F(HostileRing, AChainOfTheWholeQueueIsStillFine) {
  for (uint16_t i = 0; i < kSize; ++i) describe(i, kData, 16, i + 1 < kSize ? kNext : 0, i + 1);
  offer(0);
  const auto chain = queue_.pop();
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->readable.size(), kSize);
}

TEST_F(HostileRing, BuffersOutsideRam) {
  const std::pair<uint64_t, uint32_t> kOutside[] = {
      {kRamBytes / 2, 1},                        // in the hole
      {kRamBytes / 2 - 1, 2},                    // half in the hole
      {(uint64_t{1} << 32) - 1, 2},              // the hole's end
      {(uint64_t{1} << 32) + kRamBytes / 2, 1},  // after all RAM
      {~uint64_t{0}, 1},
      {~uint64_t{0} - 10, 100},  // wraps around
      {0, 0xffffffff},
  };
  for (const auto& [gpa, length] : kOutside) {
    ASSERT_TRUE(queue_.start(memory_, driver_.layout(), kSize, 0));
    describe(0, gpa, length, kWrite);
    expect_refused(0, "outside RAM");
  }
}

TEST_F(HostileRing, BuffersAtTheVeryEndsOfRamAreFine) {
  describe(0, kRamBytes / 2 - 1, 1, kNext, 1);
  describe(1, uint64_t{1} << 32, kRamBytes / 2, kWrite);
  offer(0);
  EXPECT_TRUE(queue_.pop());
}

TEST_F(HostileRing, AnEmptyBuffer) {
  describe(0, kData, 0, 0);
  expect_refused(0, "empty");
}

TEST_F(HostileRing, ReadableAfterWritable) {
  describe(0, kData, 16, kNext | kWrite, 1);
  describe(1, kData, 16, 0);
  expect_refused(0, "after a writable");
}

TEST_F(HostileRing, MoreThanFourGibInAChain) {
  GuestMemory large = GuestMemory::create(uint64_t{1} << 30, uint64_t{1} << 30).value();  // lazily populated
  const DriverQueue driver(large, Gpa{0x1000}, kSize);
  SplitQueue queue;
  ASSERT_TRUE(queue.start(large, driver.layout(), kSize, 0));
  for (uint16_t i = 0; i < 5; ++i) {
    driver.write_descriptor(i, {0, 1u << 30, static_cast<uint16_t>(i < 4 ? kNext : 0), static_cast<uint16_t>(i + 1)});
  }
  driver.write_available_index(1);
  EXPECT_FALSE(queue.pop());
  EXPECT_TRUE(queue.broken());
}

TEST_F(HostileRing, AvailableIndexRunsTooFar) {
  describe(0, kData, 16, 0);
  driver_.write_available_index(kSize + 1);
  EXPECT_FALSE(queue_.pop());
  EXPECT_TRUE(queue_.broken());
}

TEST_F(HostileRing, AvailableIndexRunsBackwards) {
  describe(0, kData, 16, 0);
  offer(0);
  ASSERT_TRUE(queue_.pop());
  driver_.write_available_index(0);
  EXPECT_FALSE(queue_.pop());
  EXPECT_TRUE(queue_.broken());
}

TEST_F(HostileRing, ACompletelyFullRingIsFine) {
  for (uint16_t i = 0; i < kSize; ++i) {
    describe(i, kData, 16, 0);
    driver_.write_ring(i, i);
  }
  driver_.write_available_index(kSize);
  for (uint16_t i = 0; i < kSize; ++i) EXPECT_TRUE(queue_.pop());
  EXPECT_FALSE(queue_.pop());
  EXPECT_FALSE(queue_.broken());
}

TEST_F(HostileRing, IndirectInsideIndirect) {
  indirect_entry(0, 0x8000, 16, kIndirect);
  describe(0, 0x8000, 16, kIndirect);
  expect_refused(0, "indirect");
}

TEST_F(HostileRing, IndirectThatGoesOn) {
  indirect_entry(0, kData, 16, 0);
  describe(0, 0x8000, 16, kIndirect | kNext, 1);
  expect_refused(0, "indirect");
}

TEST_F(HostileRing, IndirectTablesOfWrongSizeOrPlace) {
  const std::pair<uint64_t, uint32_t> kWrong[] = {{0x8000, 0}, {0x8000, 15}, {0x8000, 24}, {kRamBytes / 2 - 8, 16}};
  for (const auto& [gpa, length] : kWrong) {
    ASSERT_TRUE(queue_.start(memory_, driver_.layout(), kSize, 1u << VIRTIO_RING_F_INDIRECT_DESC));
    describe(0, gpa, length, kIndirect);
    expect_refused(0, "indirect table");
  }
}

TEST_F(HostileRing, IndirectNextBeyondItsTable) {
  indirect_entry(0, kData, 16, kNext, 2);
  indirect_entry(2, kData, 16, 0);  // there in memory, but not in the table
  describe(0, 0x8000, 32, kIndirect);
  expect_refused(0, "beyond the table");
}

TEST_F(HostileRing, IndirectLoop) {
  indirect_entry(0, kData, 16, kNext, 0);
  describe(0, 0x8000, 16, kIndirect);
  expect_refused(0, "more descriptors");
}

TEST_F(HostileRing, DirectAndIndirectTogetherAreBoundedToo) {
  for (uint16_t i = 0; i < kSize - 1; ++i) describe(i, kData, 1, kNext, i + 1);
  describe(kSize - 1, 0x8000, 16 * kSize, kIndirect);
  for (uint16_t i = 0; i < kSize; ++i) indirect_entry(i, kData, 1, i + 1 < kSize ? kNext : 0, i + 1);
  expect_refused(0, "more buffers");
}

TEST_F(HostileRing, StartingAfreshMends) {
  expect_refused(kSize, "beyond the table");
  driver_.write_available_index(0);
  ASSERT_TRUE(queue_.start(memory_, driver_.layout(), kSize, 0));
  EXPECT_FALSE(queue_.broken());
  describe(0, kData, 16, 0);
  offer(0);
  EXPECT_TRUE(queue_.pop());
}

}  // namespace
}  // namespace twofold
