#include "vmm/virtio/mmio_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include <array>
#include <vector>

#include "tests/support/virtio_driver.h"
#include "tests/unit/virtio/fakes.h"

namespace twofold {
namespace {

using testing::CountingInterrupt;
using testing::DriverQueue;
using testing::EchoDevice;
using ::testing::ElementsAre;
using testing::MmioDriver;
using testing::Segment;

constexpr uint64_t kRamBytes = 1 << 20;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;
constexpr uint32_t kOnes = 0xffffffff;
constexpr uint32_t kUpToDriver = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
constexpr uint32_t kUpToFeatures = kUpToDriver | VIRTIO_CONFIG_S_FEATURES_OK;

class Transport : public ::testing::Test {
 protected:
  [[nodiscard]] uint32_t status() const { return driver_.read(VIRTIO_MMIO_STATUS); }
  [[nodiscard]] uint64_t errors() const { return transport_.stats().driver_errors; }
  void start_honestly(uint64_t features = kVersion1) {
    ASSERT_TRUE(driver_.negotiate(features));
    ASSERT_TRUE(driver_.start_queue(0, queue_.layout()));
    driver_.driver_ok();
  }
  void offer_one() {
    const std::array<Segment, 1> segment = {{{Gpa{0x10000}, 16, true}}};
    ASSERT_TRUE(queue_.add(segment));
    queue_.publish();
  }

  GuestMemory memory_ = GuestMemory::create(kRamBytes, kRamBytes).value();
  EchoDevice device_;
  CountingInterrupt interrupt_;
  MmioTransport transport_{device_, memory_, interrupt_};
  MmioDriver driver_{transport_};
  DriverQueue queue_{memory_, Gpa{0x1000}, 16};
};

TEST_F(Transport, SaysWhatItIs) {
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976u);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_VERSION), 2u);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_DEVICE_ID), 42u);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_VENDOR_ID), 0x464f5754u);
  EXPECT_EQ(status(), 0u);
}

TEST_F(Transport, OffersTheDevicesFeaturesAndItsOwn) {
  EXPECT_EQ(driver_.offered_features(),
            EchoDevice::kFeature | kVersion1 | 1u << VIRTIO_RING_F_INDIRECT_DESC | 1u << VIRTIO_RING_F_EVENT_IDX);
  driver_.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_DEVICE_FEATURES), 0u);
  driver_.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, kOnes);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_DEVICE_FEATURES), 0u);
}

TEST_F(Transport, AnHonestHandshakeWorks) {
  start_honestly(kVersion1 | EchoDevice::kFeature);
  EXPECT_EQ(status(), kUpToFeatures | VIRTIO_CONFIG_S_DRIVER_OK);
  EXPECT_THAT(device_.activated_, ElementsAre(kVersion1 | EchoDevice::kFeature));
  EXPECT_EQ(errors(), 0u);
}

TEST_F(Transport, RefusesFeaturesWithoutVersion1OrNotOffered) {
  EXPECT_FALSE(driver_.negotiate(0));
  EXPECT_EQ(status(), kUpToDriver);
  EXPECT_FALSE(driver_.negotiate(EchoDevice::kFeature));
  EXPECT_FALSE(driver_.negotiate(kVersion1 | 1));
  EXPECT_FALSE(driver_.negotiate(kVersion1 | uint64_t{1} << 63));
  EXPECT_TRUE(device_.activated_.empty());

  // It may think again.
  driver_.write_features(kVersion1);
  driver_.set_status(VIRTIO_CONFIG_S_FEATURES_OK);
  EXPECT_EQ(status(), kUpToFeatures);
}

TEST_F(Transport, FeaturesAreFixedOnceAccepted) {
  ASSERT_TRUE(driver_.negotiate(kVersion1));
  driver_.write_features(kVersion1 | EchoDevice::kFeature);
  driver_.driver_ok();
  EXPECT_THAT(device_.activated_, ElementsAre(kVersion1));
  EXPECT_GT(errors(), 0u);
}

TEST_F(Transport, StepsOfTheHandshakeCannotBeLeftOut) {
  driver_.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_DRIVER);
  EXPECT_EQ(status(), 0u);
  driver_.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FEATURES_OK);
  EXPECT_EQ(status(), uint32_t{VIRTIO_CONFIG_S_ACKNOWLEDGE});
  driver_.write(VIRTIO_MMIO_STATUS, kUpToDriver | VIRTIO_CONFIG_S_DRIVER_OK);
  EXPECT_EQ(status(), kUpToDriver);
  EXPECT_TRUE(device_.activated_.empty());
  EXPECT_EQ(errors(), 3u);
}

TEST_F(Transport, StatusBitsAreClearedByResetAlone) {
  ASSERT_TRUE(driver_.negotiate(kVersion1));
  driver_.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
  EXPECT_EQ(status(), kUpToFeatures);
  driver_.write(VIRTIO_MMIO_STATUS, 0);
  EXPECT_EQ(status(), 0u);
}

TEST_F(Transport, ResetForgetsAll) {
  start_honestly();
  offer_one();
  driver_.notify(0);
  const int resets = device_.resets_;
  driver_.write(VIRTIO_MMIO_STATUS, 0);
  EXPECT_EQ(device_.resets_, resets + 1);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0u);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_QUEUE_READY), 0u);
  // Features too: FEATURES_OK fails as if none had been written.
  driver_.set_status(kUpToDriver);
  driver_.set_status(VIRTIO_CONFIG_S_FEATURES_OK);
  EXPECT_EQ(status(), kUpToDriver);
}

TEST_F(Transport, QueueSizesAreTold) {
  for (const auto& [queue, size] : std::vector<std::pair<uint32_t, uint32_t>>{{0, 16}, {1, 4}, {2, 0}, {kOnes, 0}}) {
    driver_.write(VIRTIO_MMIO_QUEUE_SEL, queue);
    EXPECT_EQ(driver_.read(VIRTIO_MMIO_QUEUE_NUM_MAX), size);
    EXPECT_EQ(driver_.read(VIRTIO_MMIO_QUEUE_READY), 0u);
  }
}

TEST_F(Transport, QueuesThatCannotBeAreNotReady) {
  ASSERT_TRUE(driver_.negotiate(kVersion1));
  QueueLayout layout = queue_.layout();
  EXPECT_FALSE(driver_.start_queue(1, layout)) << "16 entries, and queue 1 has 4";
  EXPECT_FALSE(driver_.start_queue(2, layout)) << "there is no queue 2";
  layout.used = Gpa{kRamBytes};
  EXPECT_FALSE(driver_.start_queue(0, layout));
  // A size that is right only in its low 16 bits.
  driver_.write(VIRTIO_MMIO_QUEUE_USED_LOW, static_cast<uint32_t>(queue_.layout().used.value));
  driver_.write(VIRTIO_MMIO_QUEUE_NUM, 0x10010);
  driver_.write(VIRTIO_MMIO_QUEUE_READY, 1);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_QUEUE_READY), 0u);
  EXPECT_GE(errors(), 4u);
  EXPECT_TRUE(driver_.start_queue(0, queue_.layout()));
}

TEST_F(Transport, HighAddressHalvesCount) {
  ASSERT_TRUE(driver_.negotiate(kVersion1));
  QueueLayout layout = queue_.layout();
  layout.available = layout.available + (uint64_t{1} << 32);
  EXPECT_FALSE(driver_.start_queue(0, layout));
}

TEST_F(Transport, NoQueueBeforeFeaturesOk) {
  driver_.write(VIRTIO_MMIO_STATUS, 0);
  driver_.set_status(kUpToDriver);
  EXPECT_FALSE(driver_.start_queue(0, queue_.layout()));
}

TEST_F(Transport, AQueueInUseIsNotMoved) {
  start_honestly();
  const uint64_t before = errors();
  driver_.write(VIRTIO_MMIO_QUEUE_SEL, 0);
  driver_.write(VIRTIO_MMIO_QUEUE_DESC_LOW, 0xdead0000);
  driver_.write(VIRTIO_MMIO_QUEUE_NUM, 1);
  EXPECT_EQ(errors(), before + 2);
  offer_one();
  driver_.notify(0);
  EXPECT_TRUE(queue_.take_used());
}

TEST_F(Transport, AQueueCanBeTakenOutOfUse) {
  start_honestly();
  driver_.write(VIRTIO_MMIO_QUEUE_SEL, 0);
  driver_.write(VIRTIO_MMIO_QUEUE_READY, 0);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_QUEUE_READY), 0u);
  offer_one();
  driver_.notify(0);
  EXPECT_FALSE(queue_.take_used());
}

TEST_F(Transport, NotifyProcessesPublishesAndInterruptsOnce) {
  start_honestly();
  for (int i = 0; i < 3; ++i) offer_one();
  interrupt_.take();
  driver_.notify(0);
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), uint32_t{VIRTIO_MMIO_INT_VRING});
  for (int i = 0; i < 3; ++i) {
    const auto used = queue_.take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->len, 16u);
  }
  driver_.write(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), uint32_t{VIRTIO_MMIO_INT_VRING});
  driver_.write(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0u);

  driver_.notify(0);
  EXPECT_EQ(interrupt_.take(), 0) << "nothing was used";
  EXPECT_EQ(transport_.stats().notifications, 2u);
  EXPECT_EQ(transport_.stats().interrupts, 1u);
}

TEST_F(Transport, SuppressedInterruptsAreNotSent) {
  start_honestly();
  queue_.set_no_interrupt(true);
  offer_one();
  driver_.notify(0);
  EXPECT_TRUE(queue_.take_used());
  EXPECT_EQ(interrupt_.take(), 0);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0u);
}

TEST_F(Transport, NothingIsTouchedBeforeDriverOk) {
  ASSERT_TRUE(driver_.negotiate(kVersion1));
  ASSERT_TRUE(driver_.start_queue(0, queue_.layout()));
  offer_one();
  driver_.notify(0);
  EXPECT_TRUE(device_.processed_.empty());
  EXPECT_FALSE(queue_.take_used());
  driver_.driver_ok();
  driver_.notify(0);
  EXPECT_TRUE(queue_.take_used());
}

TEST_F(Transport, NotifyOfQueuesNotThereIsHarmless) {
  start_honestly();
  for (const uint32_t queue : {1u, 2u, 0x10000u, kOnes}) {
    driver_.notify(queue);
    EXPECT_FALSE(transport_.notify(queue));
  }
  EXPECT_TRUE(device_.processed_.empty());
  EXPECT_EQ(errors(), 8u);
}

TEST_F(Transport, ADriverThatFailedIsLeftAlone) {
  start_honestly();
  driver_.set_status(VIRTIO_CONFIG_S_FAILED);
  offer_one();
  driver_.notify(0);
  EXPECT_TRUE(device_.processed_.empty());
}

TEST_F(Transport, WorkLeftOverIsToldToTheLoopAndDoneForTheRegister) {
  device_.batch_ = 2;
  start_honestly();
  for (int i = 0; i < 5; ++i) offer_one();
  EXPECT_TRUE(transport_.notify(0));
  EXPECT_EQ(queue_.used_index(), 2u);
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_TRUE(transport_.notify(0));
  EXPECT_FALSE(transport_.notify(0));
  EXPECT_EQ(queue_.used_index(), 5u);
  while (queue_.take_used()) {
  }
  for (int i = 0; i < 5; ++i) offer_one();
  driver_.notify(0);
  EXPECT_EQ(queue_.used_index(), 10u);
}

TEST_F(Transport, ABrokenQueueNeedsAReset) {
  start_honestly();
  offer_one();
  queue_.write_ring(1, 9999);
  queue_.write_available_index(2);
  interrupt_.take();
  driver_.notify(0);
  EXPECT_EQ(status(), kUpToFeatures | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), uint32_t{VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG});
  EXPECT_GE(interrupt_.take(), 1);
  EXPECT_TRUE(queue_.take_used()) << "what came before the break was served";
  EXPECT_EQ(transport_.stats().broken_queues, 1u);

  const size_t processed = device_.processed_.size();
  driver_.notify(0);
  EXPECT_EQ(device_.processed_.size(), processed) << "nothing more until the reset";
  driver_.set_status(VIRTIO_CONFIG_S_DRIVER_OK);
  EXPECT_NE(status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0u) << "the driver cannot clear it but by reset";

  std::ranges::fill(memory_.at(Gpa{0x1000}, 0x1000), std::byte{0});
  queue_ = DriverQueue(memory_, Gpa{0x1000}, 16);
  start_honestly();
  EXPECT_EQ(status(), kUpToFeatures | VIRTIO_CONFIG_S_DRIVER_OK);
  offer_one();
  driver_.notify(0);
  EXPECT_TRUE(queue_.take_used());
}

TEST_F(Transport, RegistersAre32BitsWideOnly) {
  for (const size_t width : {1, 2, 8}) {
    std::array<std::byte, 8> data{};
    transport_.read(VIRTIO_MMIO_MAGIC_VALUE, std::span(data).first(width));
    for (size_t i = 0; i < width; ++i) EXPECT_EQ(data[i], std::byte{0xff});
    data.fill(std::byte{1});
    transport_.write(VIRTIO_MMIO_STATUS, std::span(data).first(width));
    EXPECT_EQ(status(), 0u);
  }
  std::array<std::byte, 4> data{};
  transport_.read(VIRTIO_MMIO_MAGIC_VALUE + 2, data);
  EXPECT_THAT(data, ::testing::Each(std::byte{0xff}));
  EXPECT_EQ(errors(), 7u);
}

TEST_F(Transport, RegistersThatAreNotThereReadAsOnes) {
  for (const uint32_t offset : {0x18u, 0x28u, 0x3cu, 0x40u, 0x48u, 0xf8u}) {
    EXPECT_EQ(driver_.read(offset), kOnes) << offset;
    driver_.write(offset, 1);
  }
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_QUEUE_NOTIFY), kOnes) << "for writing only";
  driver_.write(VIRTIO_MMIO_MAGIC_VALUE, 0);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976u);
  EXPECT_EQ(errors(), 14u);
}

TEST_F(Transport, ThereAreNoSharedMemoryRegions) {
  const uint64_t before = errors();
  driver_.write(VIRTIO_MMIO_SHM_SEL, 0);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_SHM_LEN_LOW), kOnes);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_SHM_LEN_HIGH), kOnes);
  EXPECT_EQ(errors(), before);
}

TEST_F(Transport, ConfigSpaceTakesEveryWidth) {
  const std::array<std::byte, 8> data = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                                         std::byte{5}, std::byte{6}, std::byte{7}, std::byte{8}};
  transport_.write(VIRTIO_MMIO_CONFIG, data);
  for (const size_t width : {1, 2, 4, 8}) {
    std::array<std::byte, 8> read{};
    transport_.read(VIRTIO_MMIO_CONFIG + 8 - width, std::span(read).first(width));
    for (size_t i = 0; i < width; ++i) EXPECT_EQ(read[i], data[8 - width + i]);
  }
  std::array<std::byte, 4> beyond{};
  transport_.read(MmioTransport::kBytes - 4, beyond);
  EXPECT_THAT(beyond, ::testing::Each(std::byte{0xff}));
}

TEST_F(Transport, AConfigChangeIsToldWithANewGeneration) {
  const uint32_t before = driver_.read(VIRTIO_MMIO_CONFIG_GENERATION);
  transport_.update_config([&] { device_.config_[0] = std::byte{9}; });
  EXPECT_EQ(interrupt_.take(), 0) << "nobody is there yet";
  EXPECT_NE(driver_.read(VIRTIO_MMIO_CONFIG_GENERATION), before);

  start_honestly();
  transport_.update_config([&] { device_.config_[0] = std::byte{10}; });
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), uint32_t{VIRTIO_MMIO_INT_CONFIG});
}

}  // namespace
}  // namespace twofold
