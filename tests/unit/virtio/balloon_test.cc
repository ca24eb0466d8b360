#include "vmm/virtio/balloon.h"

#include <gtest/gtest.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <cstring>
#include <optional>

#include "tests/support/virtio_driver.h"
#include "tests/unit/virtio/fakes.h"
#include "vmm/base/size.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold::testing {
namespace {

constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;
constexpr uint64_t kStatsFeature = 1u << VIRTIO_BALLOON_F_STATS_VQ;
constexpr uint64_t kPoisonFeature = 1u << 4;
constexpr uint64_t kReportingFeature = 1u << 5;
constexpr uint64_t kRamBytes = 16 * MiB;
constexpr uint64_t kHole = 8 * MiB;  // the other half lies at 4 GiB
constexpr Gpa kRequest{0x20000};

// A balloon device with a driver's side, in memory.
struct BalloonMachine {
  explicit BalloonMachine(uint64_t features = kVersion1, BalloonConfig config = {}) : balloon(reclaim, config) {
    if (!driver.negotiate(features)) std::abort();
    const auto count =
        static_cast<uint32_t>(2 + ((features & kStatsFeature) != 0) + ((features & kReportingFeature) != 0));
    for (uint32_t i = 0; i < count; ++i) {
      queues.push_back(std::make_unique<DriverQueue>(memory, Gpa{0x1000 + 0x2000 * i}, uint16_t{128}, features));
      if (!driver.start_queue(i, queues.back()->layout())) std::abort();
    }
    driver.driver_ok();
  }

  void send(uint32_t queue, const std::vector<Segment>& segments) {
    if (!queues[queue]->add(segments)) std::abort();
    queues[queue]->publish();
    driver.notify(queue);
  }
  void send_pfns(uint32_t queue, const std::vector<uint32_t>& pfns) {
    const auto at = memory.at(kRequest, pfns.size() * 4);
    std::memcpy(at.data(), pfns.data(), at.size());
    send(queue, {{kRequest, static_cast<uint32_t>(at.size())}});
  }
  void fill(uint64_t gpa, int byte) { std::memset(memory.at(Gpa{gpa}, kPageSize).data(), byte, kPageSize); }
  [[nodiscard]] int first_byte(uint64_t gpa) const { return static_cast<int>(*memory.at(Gpa{gpa}, 1).data()); }
  [[nodiscard]] uint32_t config(uint64_t offset) const { return driver.read(VIRTIO_MMIO_CONFIG + offset); }

  GuestMemory memory = GuestMemory::create(kRamBytes, kHole).value();
  Reclaim reclaim{memory};
  CountingInterrupt interrupt;
  VirtioBalloon balloon;
  MmioTransport transport{balloon, memory, interrupt};
  MmioDriver driver{transport};
  std::vector<std::unique_ptr<DriverQueue>> queues;
};

TEST(Balloon, OffersWhatItIsConfiguredFor) {
  BalloonMachine machine;
  EXPECT_EQ(machine.driver.read(VIRTIO_MMIO_DEVICE_ID), 5u);
  const uint64_t offered = machine.driver.offered_features();
  for (const uint32_t bit : {0, 1, 2, 4, 5}) EXPECT_TRUE((offered >> bit & 1) != 0) << bit;
  EXPECT_EQ(offered >> 3 & 1, 0u) << "no hinting";
  BalloonMachine plain(kVersion1, {.deflate_on_oom = false, .free_page_reporting = false});
  EXPECT_EQ(plain.driver.offered_features() & (1u << 2 | 1u << 5), 0u);
}

TEST(Balloon, TheTargetReachesTheDriverByAConfigurationInterrupt) {
  BalloonMachine machine;
  (void)machine.interrupt.take();
  machine.transport.update_config([&] { machine.balloon.set_target(5 * kPageSize + 123); });
  EXPECT_EQ(machine.interrupt.take(), 1);
  EXPECT_EQ(machine.config(0), 5u);
  EXPECT_EQ(machine.balloon.status().target_bytes, 5 * kPageSize);
  machine.transport.update_config([&] { machine.balloon.set_target(1 * GiB); });
  EXPECT_EQ(machine.config(0), kRamBytes / kPageSize) << "no more than there is";
}

TEST(Balloon, TheDriverWritesItsOwnFieldsAlone) {
  BalloonMachine machine;
  machine.driver.write(VIRTIO_MMIO_CONFIG + 4, 7);
  machine.driver.write(VIRTIO_MMIO_CONFIG + 0, 99);
  EXPECT_EQ(machine.config(0), 0u);
  EXPECT_EQ(machine.config(4), 7u);
  EXPECT_EQ(machine.balloon.status().actual_bytes, 7 * kPageSize);
}

TEST(Balloon, InflatedPagesAreGivenUpInRuns) {
  BalloonMachine machine;
  for (uint32_t pfn = 0x100; pfn < 0x120; ++pfn) machine.fill(pfn * kPageSize, 0x5a);
  machine.send_pfns(0, {0x103, 0x101, 0x102, 0x110, 0x102});
  ASSERT_TRUE(machine.queues[0]->take_used());
  EXPECT_EQ(machine.first_byte(0x100 * kPageSize), 0x5a);
  for (const uint64_t pfn : {0x101, 0x102, 0x103, 0x110}) EXPECT_EQ(machine.first_byte(pfn * kPageSize), 0) << pfn;
  EXPECT_EQ(machine.first_byte(0x104 * kPageSize), 0x5a);
  EXPECT_EQ(machine.reclaim.stats().ballooned_bytes, 4 * kPageSize) << "a page named twice counts once";
  EXPECT_EQ(machine.reclaim.stats().discard_calls, 2u);
  machine.send_pfns(1, {0x101, 0x110});
  EXPECT_EQ(machine.reclaim.stats().ballooned_bytes, 2 * kPageSize);
  EXPECT_EQ(machine.reclaim.state(0x101), FrameState::kOwn);
  EXPECT_EQ(machine.reclaim.state(0x102), FrameState::kBallooned);
}

TEST(Balloon, SeveralRequestsAreAnsweredAtOnce) {
  BalloonMachine machine;
  for (uint32_t i = 0; i < 8; ++i) {
    (void)machine.memory.write(Gpa{kRequest.value + 4 * i}, 0x200 + i);
    ASSERT_TRUE(machine.queues[0]->add(std::vector<Segment>{{Gpa{kRequest.value + 4 * i}, 4}}));
  }
  machine.queues[0]->publish();
  (void)machine.interrupt.take();
  machine.driver.notify(0);
  EXPECT_EQ(machine.interrupt.take(), 1);
  EXPECT_EQ(machine.queues[0]->used_index(), 8);
  EXPECT_EQ(machine.reclaim.stats().discard_calls, 1u) << "eight requests for adjacent pages are one run";
}

TEST(Balloon, FramesThatAreNoMemoryAreCountedAndLeftAlone) {
  BalloonMachine machine;
  machine.send_pfns(0, {0xd0000, 0xffffffff, static_cast<uint32_t>(kHole / kPageSize), 0x300,
                        static_cast<uint32_t>(4 * GiB / kPageSize)});
  EXPECT_TRUE(machine.queues[0]->take_used());
  EXPECT_EQ(machine.balloon.status().bad_frames, 3u);
  EXPECT_EQ(machine.reclaim.stats().ballooned_bytes, 2 * kPageSize);
}

TEST(Balloon, ARequestMayBeCutAnywhereAndItsOddBytesAreIgnored) {
  BalloonMachine machine;
  const std::vector<uint32_t> pfns = {0x400, 0x401};
  std::memcpy(machine.memory.at(kRequest, 8).data(), pfns.data(), 8);
  machine.send(0, {{kRequest, 3}, {Gpa{kRequest.value + 3}, 5}, {Gpa{kRequest.value + 8}, 3}});
  EXPECT_EQ(machine.reclaim.stats().ballooned_bytes, 2 * kPageSize);
  machine.send(0, {{Gpa{kRequest.value}, 16, true}});
  EXPECT_EQ(machine.reclaim.stats().ballooned_bytes, 2 * kPageSize) << "nothing to read is an empty request";
  EXPECT_EQ(machine.balloon.status().inflate_requests, 2u);
}

TEST(Balloon, StatisticsComeWhenTheDeviceAsks) {
  BalloonMachine machine(kVersion1 | kStatsFeature);
  constexpr uint32_t kStats = 2;
  const auto put = [&](uint32_t entry, uint16_t tag, uint64_t value) {
    const auto at = machine.memory.at(Gpa{kRequest.value + entry * 10}, 10);
    std::memcpy(at.data(), &tag, 2);
    std::memcpy(at.data() + 2, &value, 8);
  };
  put(0, VIRTIO_BALLOON_S_MEMFREE, 123456789);
  put(1, VIRTIO_BALLOON_S_MAJFLT, 42);
  put(2, 999, 1);
  machine.send(kStats, {{kRequest, 35}});  // three entries, and half of a fourth
  EXPECT_FALSE(machine.queues[kStats]->take_used()) << "the device keeps the buffer";
  EXPECT_EQ(machine.balloon.status().stats.value(VIRTIO_BALLOON_S_MEMFREE), 123456789u);
  EXPECT_EQ(machine.balloon.status().stats.value(VIRTIO_BALLOON_S_MAJFLT), 42u);
  EXPECT_EQ(machine.balloon.status().stats.value(VIRTIO_BALLOON_S_MEMTOT), std::nullopt);
  std::optional<uint32_t> queue;
  machine.transport.with_lock([&] { queue = machine.balloon.want_stats(); });
  ASSERT_EQ(queue, kStats);
  (void)machine.transport.notify(kStats);
  EXPECT_TRUE(machine.queues[kStats]->take_used()) << "giving it back is the question";
  put(1, VIRTIO_BALLOON_S_MAJFLT, 43);
  machine.send(kStats, {{kRequest, 20}});
  EXPECT_EQ(machine.balloon.status().stats.value(VIRTIO_BALLOON_S_MAJFLT), 43u);
}

TEST(Balloon, WithoutStatisticsReportingIsTheThirdQueue) {
  BalloonMachine machine(kVersion1 | kReportingFeature);
  machine.transport.with_lock([&] { EXPECT_EQ(machine.balloon.want_stats(), std::nullopt); });
  machine.fill(0x500 * kPageSize, 0x5a);
  machine.fill(0x501 * kPageSize, 0x5a);
  machine.send(2, {{Gpa{0x500 * kPageSize}, kPageSize, true}});
  EXPECT_TRUE(machine.queues[2]->take_used());
  EXPECT_EQ(machine.first_byte(0x500 * kPageSize), 0);
  EXPECT_EQ(machine.first_byte(0x501 * kPageSize), 0x5a);
  EXPECT_EQ(machine.reclaim.stats().reported_bytes, kPageSize);
}

TEST(Balloon, PoisonedPagesAreNotDiscarded) {
  BalloonMachine machine(kVersion1 | kReportingFeature | kPoisonFeature);
  machine.driver.write(VIRTIO_MMIO_CONFIG + 12, 0xaaaaaaaa);
  machine.fill(0x500 * kPageSize, 0xaa);
  machine.send(2, {{Gpa{0x500 * kPageSize}, kPageSize, true}});
  EXPECT_TRUE(machine.queues[2]->take_used());
  EXPECT_EQ(machine.first_byte(0x500 * kPageSize), 0xaa);
  machine.driver.write(VIRTIO_MMIO_CONFIG + 12, 0);
  machine.send(2, {{Gpa{0x500 * kPageSize}, kPageSize, true}});
  EXPECT_EQ(machine.first_byte(0x500 * kPageSize), 0) << "poison of zeros is what it finds";
}

TEST(Balloon, AResetEmptiesIt) {
  BalloonMachine machine;
  machine.send_pfns(0, {0x100, 0x101});
  machine.driver.write(VIRTIO_MMIO_CONFIG + 4, 2);
  machine.driver.write(VIRTIO_MMIO_STATUS, 0);
  EXPECT_EQ(machine.reclaim.stats().ballooned_bytes, 0u);
  EXPECT_EQ(machine.balloon.status().actual_bytes, 0u);
  EXPECT_FALSE(machine.balloon.status().driver_ready);
}

}  // namespace
}  // namespace twofold::testing
