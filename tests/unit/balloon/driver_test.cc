// The driver against the real device, through queues in memory: no KVM, no guest. A kernel of a few hundred pages
// stands in for the guest's, and its own books are the reference model for what the device has given up.
#include "balloon-driver/driver.h"

#include <gtest/gtest.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "tests/support/virtio_driver.h"
#include "vmm/base/size.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mmio_transport.h"

namespace balloon {
namespace {

using twofold::Gpa;
using twofold::kPageSize;
using twofold::MiB;
using twofold::testing::DriverQueue;
using twofold::testing::Segment;

constexpr uint64_t kFeatures = uint64_t{1} << VIRTIO_F_VERSION_1 | 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5;
constexpr uint32_t kFirstPage = 0x200;  // below lie the queues and what is sent
constexpr uint32_t kPages = 3000;

class NullInterrupt final : public twofold::Interrupt {
 public:
  void trigger() override {}
};

// Guest and device in one: everything is asked of this object by way of the driver's hooks.
class World {
 public:
  World() {
    if (!mmio_.negotiate(kFeatures)) std::abort();
    for (uint32_t i = 0; i < 4; ++i) {
      queues_.push_back(std::make_unique<DriverQueue>(memory_, Gpa{0x1000 + 0x4000 * i}, uint16_t{128}, kFeatures));
      if (!mmio_.start_queue(i, queues_.back()->layout())) std::abort();
      tokens_.emplace_back(128);
    }
    mmio_.driver_ok();
    for (uint32_t i = 0; i < kPages; ++i) free_.insert(kFirstPage + i);
  }

  void set_target(uint32_t pages) {
    transport_.update_config([&] { device_.set_target(uint64_t{pages} * kPageSize); });
  }
  [[nodiscard]] uint64_t actual_pages() const { return device_.status().actual_bytes / kPageSize; }

  // Lets the device work, and hands its answers to the driver. Returns whether there were any.
  bool pump() {
    bool any = false;
    for (uint32_t i = 0; i < queues_.size(); ++i) {
      mmio_.notify(i);
      while (const auto used = queues_[i]->take_used()) {
        any = true;
        driver.on_answer(std::exchange(tokens_[i][used->id], nullptr));
      }
    }
    return any;
  }

  // Works until nothing moves any more.
  Driver::Progress settle() {
    for (int i = 0; i < 10000; ++i) {
      const auto progress = driver.work();
      const bool moved = pump();
      if (progress != Driver::Progress::kMore && !moved) return progress;
    }
    ADD_FAILURE() << "it does not come to rest";
    return Driver::Progress::kDone;
  }

  // What must hold between any two steps: each page is in one place, and what the kernel holds for the balloon the
  // device has.
  void check() const {
    std::set<uint32_t> all = free_;
    all.insert(held_.begin(), held_.end());
    all.insert(used_.begin(), used_.end());
    for (const uint32_t pfn : held_) {
      EXPECT_EQ(reclaim_.state(pfn), twofold::FrameState::kBallooned) << pfn;
    }
    for (const uint32_t pfn : used_) EXPECT_EQ(reclaim_.state(pfn), twofold::FrameState::kOwn) << pfn;
    EXPECT_LE(all.size(), kPages);
  }
  void check_at_rest() const {
    check();
    EXPECT_EQ(free_.size() + held_.size() + used_.size(), kPages) << "no page is lost, none is in two places";
    EXPECT_EQ(held_.size(), driver.held());
    EXPECT_EQ(actual_pages(), driver.held());
    EXPECT_EQ(reclaim_.stats().ballooned_bytes, held_.size() * kPageSize);
  }

  // A program of the guest's takes pages and writes to them.
  void use(uint32_t count) {
    for (; count > 0 && !free_.empty(); --count) {
      const uint32_t pfn = take_free();
      used_.insert(pfn);
      std::memset(bytes(pfn), 0x5a, kPageSize);
    }
  }
  [[nodiscard]] bool used_pages_are_untouched() const {
    for (const uint32_t pfn : used_) {
      const std::byte* page = bytes(pfn);
      for (uint64_t i = 0; i < kPageSize; i += 512) {
        if (page[i] != std::byte{0x5a}) return false;
      }
    }
    return true;
  }

  std::set<uint32_t> free_;
  std::vector<uint32_t> held_;
  std::set<uint32_t> used_;
  bool queue_full_ = false;

 private:
  uint32_t take_free() {
    const uint32_t pfn = *free_.begin();
    free_.erase(free_.begin());
    return pfn;
  }
  [[nodiscard]] std::byte* bytes(uint32_t pfn) const {
    return memory_.at(Gpa{uint64_t{pfn} * kPageSize}, kPageSize).data();
  }

  // --- the kernel's hooks
  static World& of(void* context) { return *static_cast<World*>(context); }
  static bool take_page(void* context, uint32_t* pfn) {
    World& world = of(context);
    if (world.free_.empty()) return false;
    *pfn = world.take_free();
    return true;
  }
  static void return_page(void* context, uint32_t pfn) { EXPECT_TRUE(of(context).free_.insert(pfn).second); }
  static void hold(void* context, uint32_t pfn) { of(context).held_.push_back(pfn); }
  static bool unhold(void* context, uint32_t* pfn) {
    World& world = of(context);
    if (world.held_.empty()) return false;
    *pfn = world.held_.back();
    world.held_.pop_back();
    return true;
  }
  static uint32_t read_stats(void* context, Stat* stats, uint32_t /*max*/) {
    stats[0] = {4, of(context).free_.size() * kPageSize};
    stats[1] = {2, 77};
    return 2;
  }
  static uint32_t isolate_free(void* context, FreeRange* ranges, uint32_t max) {
    World& world = of(context);
    uint32_t count = 0;
    while (count < max && world.free_.size() > 10) ranges[count++] = {world.take_free(), 1};
    return count;
  }
  static void restore_free(void* context, const FreeRange* ranges, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) return_page(context, ranges[i].pfn);
  }

  // --- the transport's
  bool send(Queue queue, const std::vector<Segment>& segments, void* token) {
    const auto index = static_cast<size_t>(queue);
    if (queue_full_) return false;
    const auto head = queues_[index]->add(segments);
    if (!head) return false;
    tokens_[index][*head] = token;
    return true;
  }
  static void announce(void* context, Queue queue) { of(context).queues_[static_cast<size_t>(queue)]->publish(); }
  static bool send_bytes(void* context, Queue queue, const void* data, uint32_t size, void* token) {
    World& world = of(context);
    // The driver's memory is not the guest's here: what the device reads is a copy, one place for each request.
    const Gpa at{0x20000 + 0x400 * (world.sent_++ % 256)};
    std::memcpy(world.memory_.at(at, size).data(), data, size);
    return world.send(queue, {{at, size}}, token);
  }
  static bool send_pages(void* context, const FreeRange* ranges, uint32_t count, void* token) {
    std::vector<Segment> segments;
    for (uint32_t i = 0; i < count; ++i) {
      segments.push_back(
          {Gpa{uint64_t{ranges[i].pfn} * kPageSize}, static_cast<uint32_t>(ranges[i].count * kPageSize), true});
    }
    return of(context).send(Queue::kReporting, segments, token);
  }
  static uint32_t target(void* context) { return of(context).mmio_.read(VIRTIO_MMIO_CONFIG); }
  static void set_actual(void* context, uint32_t pages) { of(context).mmio_.write(VIRTIO_MMIO_CONFIG + 4, pages); }

  twofold::GuestMemory memory_ = twofold::GuestMemory::create(16 * MiB, 16 * MiB).value();
  twofold::Reclaim reclaim_{memory_};
  NullInterrupt interrupt_;
  twofold::VirtioBalloon device_{reclaim_, {}};
  twofold::MmioTransport transport_{device_, memory_, interrupt_};
  twofold::testing::MmioDriver mmio_{transport_};
  std::vector<std::unique_ptr<DriverQueue>> queues_;
  std::vector<std::vector<void*>> tokens_;
  uint32_t sent_ = 0;

 public:
  [[nodiscard]] twofold::BalloonStatus status() const { return device_.status(); }
  void ask_for_stats() {
    transport_.with_lock([&] { (void)device_.want_stats(); });
  }
  [[nodiscard]] uint64_t reported_bytes() const { return reclaim_.stats().reported_bytes; }

  Driver driver{{this, take_page, return_page, hold, unhold, read_stats, isolate_free, restore_free},
                {this, send_bytes, send_pages, announce, target, set_actual}};
};

TEST(BalloonDriver, InflatesToTheTargetAndBack) {
  World world;
  world.set_target(1000);
  EXPECT_EQ(world.settle(), Driver::Progress::kDone);
  EXPECT_EQ(world.driver.held(), 1000u);
  world.check_at_rest();
  world.set_target(10);
  EXPECT_EQ(world.settle(), Driver::Progress::kDone);
  EXPECT_EQ(world.driver.held(), 10u);
  world.check_at_rest();
}

TEST(BalloonDriver, TakesWhatThereIsAndSaysThatItIsStarved) {
  World world;
  world.use(kPages - 100);
  world.set_target(500);
  EXPECT_EQ(world.settle(), Driver::Progress::kStarved);
  EXPECT_EQ(world.driver.held(), 100u);
  world.check_at_rest();
  EXPECT_TRUE(world.used_pages_are_untouched());
}

TEST(BalloonDriver, AStormOfTargetsLosesNoPage) {
  World world;
  std::mt19937 random(1);
  world.use(500);
  for (int turn = 0; turn < 3000; ++turn) {
    if (random() % 4 == 0) world.set_target(random() % kPages);
    if (random() % 8 != 0) (void)world.driver.work();
    if (random() % 2 == 0) world.pump();
    if (random() % 100 == 0) (void)world.driver.give_back(random() % 300);
    if (random() % 60 == 0) world.driver.allow_inflating();
    if (random() % 10 == 0) (void)world.driver.report();
    world.queue_full_ = random() % 20 == 0;
    world.check();
  }
  world.queue_full_ = false;
  world.driver.allow_inflating();
  world.set_target(700);
  EXPECT_EQ(world.settle(), Driver::Progress::kDone);
  EXPECT_EQ(world.driver.held(), 700u);
  world.check_at_rest();
  EXPECT_TRUE(world.used_pages_are_untouched());
}

TEST(BalloonDriver, GivesBackAtOnceWhatIsNeededAndRests) {
  World world;
  world.set_target(2900);
  (void)world.settle();
  world.use(kPages);  // the rest is in use
  ASSERT_TRUE(world.free_.empty());
  EXPECT_EQ(world.driver.give_back(1500), 1500u);
  while (world.pump()) {
  }
  EXPECT_GE(world.free_.size(), 1500u);
  EXPECT_EQ(world.driver.held(), 1400u);
  EXPECT_EQ(world.driver.counts().oom_pages, 1500u);
  EXPECT_EQ(world.settle(), Driver::Progress::kStarved) << "it does not take them again at once";
  EXPECT_EQ(world.driver.held(), 1400u);
  world.driver.allow_inflating();
  EXPECT_EQ(world.settle(), Driver::Progress::kDone);
  EXPECT_EQ(world.driver.held(), 2900u);
  EXPECT_EQ(world.driver.give_back(100000), 2900u) << "no more than it has";
  while (world.pump()) {
  }
  world.check_at_rest();
}

TEST(BalloonDriver, AnswersEachQuestionForStatistics) {
  World world;
  world.driver.start_stats();
  world.pump();
  EXPECT_EQ(world.status().stats.value(4), kPages * kPageSize);
  world.use(1000);
  world.ask_for_stats();
  world.pump();  // the question …
  world.pump();  // … and the answer
  EXPECT_EQ(world.status().stats.value(4), (kPages - 1000) * kPageSize);
  EXPECT_EQ(world.status().stats.value(2), 77u);
}

TEST(BalloonDriver, ReportsFreePagesOneReportAtATime) {
  World world;
  EXPECT_TRUE(world.driver.report());
  EXPECT_FALSE(world.driver.report()) << "the first is not answered yet";
  world.pump();
  EXPECT_EQ(world.driver.counts().reported, Driver::kMaxFreeRanges);
  EXPECT_EQ(world.reported_bytes(), Driver::kMaxFreeRanges * kPageSize);
  EXPECT_TRUE(world.driver.report());
  world.pump();
  world.check_at_rest();
}

}  // namespace
}  // namespace balloon
