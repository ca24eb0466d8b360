// A driver on one thread, the event loop on another, an interrupt handler on a third: nothing is lost, and (under
// ThreadSanitizer) nothing races.
#include <gtest/gtest.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/virtio_driver.h"
#include "tests/unit/virtio/fakes.h"
#include "vmm/base/fd.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold {
namespace {

using testing::DriverQueue;
using testing::EchoDevice;
using testing::MmioDriver;
using testing::Segment;

constexpr uint64_t kRamBytes = 1 << 20;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;

// The line to the interrupt controller, as an irqfd is.
class EventInterrupt final : public Interrupt {
 public:
  void trigger() override { signal_eventfd(fd_.get()); }
  // Waits for an edge; false after ten seconds without one.
  [[nodiscard]] bool wait() const {
    pollfd poll_fd{fd_.get(), POLLIN, 0};
    return ::poll(&poll_fd, 1, 10'000) == 1 && drain_eventfd(fd_.get());
  }

 private:
  UniqueFd fd_ = make_eventfd().value();
};

class TransportRace : public ::testing::TestWithParam<uint64_t> {
 protected:
  // The event loop's part: each ioeventfd signal is one notify(), repeated while there is work left.
  void run_io_thread(const std::atomic<bool>& stop) {
    while (!stop) {
      pollfd poll_fd{ioeventfd_.get(), POLLIN, 0};
      if (::poll(&poll_fd, 1, 10) != 1 || !drain_eventfd(ioeventfd_.get())) continue;
      if (transport_.notify(0)) signal_eventfd(ioeventfd_.get());
    }
  }

  GuestMemory memory_ = GuestMemory::create(kRamBytes, kRamBytes).value();
  EchoDevice device_;
  EventInterrupt interrupt_;
  MmioTransport transport_{device_, memory_, interrupt_};
  MmioDriver driver_{transport_};
  UniqueFd ioeventfd_ = make_eventfd().value();
};

// The driver notifies only when it is asked to, and waits for an interrupt only when nothing is used: if either side
// misjudged the other's wishes, both would wait for ever.
TEST_P(TransportRace, NoNotificationAndNoInterruptIsLost) {
  constexpr uint32_t kRequests = 30'000;
  device_.batch_ = 3;
  DriverQueue queue(memory_, Gpa{0x1000}, 16, GetParam());
  ASSERT_TRUE(driver_.negotiate(kVersion1 | GetParam()));
  ASSERT_TRUE(driver_.start_queue(0, queue.layout()));
  driver_.driver_ok();

  std::atomic<bool> stop{false};
  std::thread io_thread([&] { run_io_thread(stop); });
  std::thread onlooker([&] {
    while (!stop) {
      (void)driver_.read(VIRTIO_MMIO_STATUS);
      transport_.update_config([] {});
      (void)transport_.stats();
    }
  });

  uint32_t sent = 0;
  uint32_t answered = 0;
  bool lost = false;
  while (answered < kRequests && !lost) {
    for (uint32_t batch = 1 + sent % 7; batch > 0 && sent < kRequests; --batch) {
      const std::array<Segment, 1> segment = {{{Gpa{0x10000}, 1 + sent % 100, true}}};
      if (!queue.add(segment)) break;
      ++sent;
    }
    queue.publish();
    if (queue.wants_notification()) signal_eventfd(ioeventfd_.get());
    bool any = false;
    while (const auto used = queue.take_used()) {
      any = true;
      ASSERT_EQ(used->len, 1 + answered % 100);
      ++answered;
    }
    if (any || queue.used_index() != static_cast<uint16_t>(answered)) continue;
    lost = !interrupt_.wait();
    driver_.write(VIRTIO_MMIO_INTERRUPT_ACK, driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS));
  }
  stop = true;
  io_thread.join();
  onlooker.join();
  EXPECT_FALSE(lost) << "after " << answered << " of " << sent << " requests";
  EXPECT_EQ(transport_.stats().broken_queues, 0u);
}

INSTANTIATE_TEST_SUITE_P(EventIdx, TransportRace, ::testing::Values(0, 1u << VIRTIO_RING_F_EVENT_IDX));

TEST_F(TransportRace, ResetWhileTheQueueIsProcessed) {
  std::atomic<bool> stop{false};
  std::thread io_thread([&] {
    while (!stop) (void)transport_.notify(0);
  });
  for (int round = 0; round < 300; ++round) {
    DriverQueue queue(memory_, Gpa{0x1000}, 16);
    ASSERT_TRUE(driver_.negotiate(kVersion1));
    std::ranges::fill(memory_.at(Gpa{0x1000}, 0x1000), std::byte{0});
    ASSERT_TRUE(driver_.start_queue(0, queue.layout()));
    driver_.driver_ok();
    const std::array<Segment, 1> segment = {{{Gpa{0x10000}, 16, true}}};
    for (int i = 0; i < round % 16; ++i) ASSERT_TRUE(queue.add(segment));
    queue.publish();
    if (round % 3 == 0) {
      while (queue.used_index() != round % 16) std::this_thread::yield();
    }
    driver_.write(VIRTIO_MMIO_STATUS, 0);
    EXPECT_EQ(driver_.read(VIRTIO_MMIO_STATUS), 0u);
    EXPECT_EQ(driver_.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0u);
  }
  stop = true;
  io_thread.join();
}

}  // namespace
}  // namespace twofold
