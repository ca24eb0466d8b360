// An honest driver and the queue.
#include "vmm/virtio/split_queue.h"

#include <gtest/gtest.h>
#include <linux/virtio_ring.h>

#include <array>
#include <deque>
#include <random>
#include <vector>

#include "tests/support/virtio_driver.h"

namespace twofold {
namespace {

using testing::DriverQueue;
using testing::Segment;

constexpr uint64_t kRamBytes = 1 << 20;
constexpr uint64_t kEventIdx = 1u << VIRTIO_RING_F_EVENT_IDX;
constexpr uint64_t kIndirect = 1u << VIRTIO_RING_F_INDIRECT_DESC;
constexpr Gpa kBase{0x1000};
constexpr Gpa kData{0x10000};

class SplitQueueTest : public ::testing::Test {
 protected:
  GuestMemory memory_ = GuestMemory::create(kRamBytes, kRamBytes).value();

  void start(SplitQueue& queue, const DriverQueue& driver, uint64_t features = 0) {
    ASSERT_TRUE(queue.start(memory_, driver.layout(), 256, features));
  }
  [[nodiscard]] uint64_t gpa_of(const iovec& buffer) const {
    return static_cast<uint64_t>(static_cast<std::byte*>(buffer.iov_base) - memory_.hva_base());
  }
};

TEST_F(SplitQueueTest, NothingAvailableAtFirst) {
  const DriverQueue driver(memory_, kBase, 8);
  SplitQueue queue;
  EXPECT_FALSE(queue.ready());
  start(queue, driver);
  EXPECT_TRUE(queue.ready());
  EXPECT_FALSE(queue.pop());
  EXPECT_FALSE(queue.publish());
  EXPECT_FALSE(queue.broken());
}

TEST_F(SplitQueueTest, AChainArrivesWithItsBuffersInOrder) {
  DriverQueue driver(memory_, kBase, 8);
  SplitQueue queue;
  start(queue, driver);
  const std::array<Segment, 4> segments = {
      {{kData, 16}, {kData + 100, 7}, {kData + 4096, 512, true}, {kData + 3, 1, true}}};
  const auto head = driver.add(segments);
  EXPECT_FALSE(queue.pop()) << "not published";
  driver.publish();

  const auto chain = queue.pop();
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->head, *head);
  ASSERT_EQ(chain->readable.size(), 2u);
  ASSERT_EQ(chain->writable.size(), 2u);
  for (size_t i = 0; i < 4; ++i) {
    const iovec& buffer = i < 2 ? chain->readable[i] : chain->writable[i - 2];
    EXPECT_EQ(gpa_of(buffer), segments[i].gpa.value);
    EXPECT_EQ(buffer.iov_len, segments[i].bytes);
  }
  EXPECT_FALSE(queue.pop());
}

TEST_F(SplitQueueTest, UsedElementsAppearAtPublishAllAtOnce) {
  DriverQueue driver(memory_, kBase, 8);
  SplitQueue queue;
  start(queue, driver);
  const std::array<Segment, 1> segment = {{{kData, 16, true}}};
  for (int i = 0; i < 3; ++i) driver.add(segment);
  driver.publish();
  std::vector<uint16_t> heads;
  while (const auto chain = queue.pop()) {
    heads.push_back(chain->head);
    queue.push(chain->head, 10u + chain->head);
    EXPECT_EQ(driver.used_index(), 0u);
  }
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(driver.used_index(), 3u);
  for (const uint16_t head : heads) {
    const auto used = driver.take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, head);
    EXPECT_EQ(used->len, 10u + head);
  }
  EXPECT_FALSE(queue.publish()) << "nothing new";
}

TEST_F(SplitQueueTest, AnIndirectTableIsWalkedIfNegotiated) {
  const std::array<Segment, 3> segments = {{{kData, 16}, {kData + 512, 512, true}, {kData + 2048, 1, true}}};
  {
    DriverQueue driver(memory_, kBase, 4);
    SplitQueue queue;
    start(queue, driver, kIndirect);
    driver.add_indirect(segments, Gpa{0x8000});
    driver.publish();
    const auto chain = queue.pop();
    ASSERT_TRUE(chain);
    EXPECT_EQ(chain->readable.size(), 1u);
    ASSERT_EQ(chain->writable.size(), 2u);
    EXPECT_EQ(gpa_of(chain->writable[1]), kData.value + 2048);
  }
  DriverQueue driver(memory_, kBase, 4);
  SplitQueue queue;
  start(queue, driver, 0);
  driver.write_available_index(0);
  driver.add_indirect(segments, Gpa{0x8000});
  driver.publish();
  EXPECT_FALSE(queue.pop());
  EXPECT_TRUE(queue.broken());
}

TEST_F(SplitQueueTest, DriverMaySuppressInterruptsByFlag) {
  DriverQueue driver(memory_, kBase, 8);
  SplitQueue queue;
  start(queue, driver);
  const std::array<Segment, 1> segment = {{{kData, 16, true}}};
  for (const bool suppress : {true, false, true}) {
    driver.set_no_interrupt(suppress);
    driver.add(segment);
    driver.publish();
    queue.push(queue.pop()->head, 0);
    EXPECT_EQ(queue.publish(), !suppress);
  }
}

TEST_F(SplitQueueTest, WithEventIdxOnlyTheAskedForIndexInterrupts) {
  DriverQueue driver(memory_, kBase, 8, kEventIdx);
  SplitQueue queue;
  start(queue, driver, kEventIdx);
  driver.set_no_interrupt(true);  // to be ignored
  driver.set_used_event(2);       // when the third is used
  const std::array<Segment, 1> segment = {{{kData, 16, true}}};
  for (int i = 0; i < 6; ++i) driver.add(segment);
  driver.publish();
  std::vector<bool> interrupts;
  while (const auto chain = queue.pop()) {
    queue.push(chain->head, 0);
    interrupts.push_back(queue.publish());
  }
  EXPECT_EQ(interrupts, (std::vector<bool>{false, false, true, false, false, false}));
}

TEST_F(SplitQueueTest, WithEventIdxABatchThatPassesTheIndexInterrupts) {
  DriverQueue driver(memory_, kBase, 8, kEventIdx);
  SplitQueue queue;
  start(queue, driver, kEventIdx);
  driver.set_used_event(1);
  const std::array<Segment, 1> segment = {{{kData, 16, true}}};
  for (int i = 0; i < 4; ++i) driver.add(segment);
  driver.publish();
  while (const auto chain = queue.pop()) queue.push(chain->head, 0);
  EXPECT_TRUE(queue.publish());
}

TEST_F(SplitQueueTest, NotificationsAreSuppressedAndAllowed) {
  for (const uint64_t features : {uint64_t{0}, kEventIdx}) {
    std::ranges::fill(memory_.at(kBase, 0x1000), std::byte{0});
    DriverQueue driver(memory_, kBase, 8, features);
    SplitQueue queue;
    start(queue, driver, features);
    const std::array<Segment, 1> segment = {{{kData, 16, true}}};

    EXPECT_FALSE(queue.allow_notifications());
    driver.add(segment);
    driver.publish();
    EXPECT_TRUE(driver.wants_notification());

    queue.suppress_notifications();
    driver.add(segment);
    driver.publish();
    EXPECT_FALSE(driver.wants_notification());

    EXPECT_TRUE(queue.pop());
    EXPECT_TRUE(queue.allow_notifications()) << "the second chain came while nobody was told";
    EXPECT_TRUE(queue.pop());
    EXPECT_FALSE(queue.allow_notifications());
    driver.add(segment);
    driver.publish();
    EXPECT_TRUE(driver.wants_notification());
  }
}

// The indices run past 2^16, and the ring round and round, in random batches; each chain comes back once, in order.
TEST_F(SplitQueueTest, IndicesWrapAround) {
  for (const uint64_t features : {uint64_t{0}, kEventIdx}) {
    std::ranges::fill(memory_.at(kBase, 0x1000), std::byte{0});
    DriverQueue driver(memory_, kBase, 8, features);
    SplitQueue queue;
    start(queue, driver, features);
    std::mt19937 random(7);
    std::deque<uint16_t> in_flight;
    uint32_t next = 0;
    uint32_t seen = 0;
    while (seen < 140'000) {
      for (uint32_t batch = random() % 9; batch > 0; --batch) {
        const std::array<Segment, 1> segment = {{{kData + next % 1000, 1 + next % 500, true}}};
        if (!driver.add(segment)) break;
        ++next;
      }
      driver.publish();
      for (uint32_t batch = random() % 9; batch > 0; --batch) {
        const auto chain = queue.pop();
        if (!chain) break;
        ASSERT_EQ(chain->writable[0].iov_len, 1 + seen % 500);
        queue.push(chain->head, seen++);
        in_flight.push_back(chain->head);
      }
      (void)queue.publish();
      while (const auto used = driver.take_used()) {
        ASSERT_EQ(used->id, in_flight.front());
        in_flight.pop_front();
      }
    }
    EXPECT_FALSE(queue.broken());
  }
}

TEST_F(SplitQueueTest, StartChecksTheLayout) {
  const QueueLayout good = DriverQueue(memory_, kBase, 16).layout();
  SplitQueue queue;
  EXPECT_TRUE(queue.start(memory_, good, 16, 0));
  const auto refuses = [&](auto change) {
    QueueLayout layout = good;
    change(layout);
    const bool started = queue.start(memory_, layout, 16, 0);
    EXPECT_EQ(queue.ready(), started);
    return !started;
  };
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.size = 0; }));
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.size = 12; })) << "not a power of two";
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.size = 32; })) << "larger than the device's";
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.descriptors = l.descriptors + 8; }));
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.available = l.available + 1; }));
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.used = l.used + 2; }));
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.descriptors = Gpa{kRamBytes - 16 * 15}; })) << "past the end of RAM";
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.available = Gpa{kRamBytes - 6 - 16 * 2 + 2}; }));
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.used = Gpa{kRamBytes - 6 - 16 * 8 + 2}; }));
  EXPECT_TRUE(refuses([](QueueLayout& l) { l.used = Gpa{~uint64_t{0} & ~uint64_t{3}}; })) << "wraps around";
  EXPECT_FALSE(refuses([](QueueLayout& l) { l.size = 1; }));
}

}  // namespace
}  // namespace twofold
