#include "tests/support/balloon_script.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/support/script_reader.h"
#include "tests/support/virtio_driver.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold::testing {

namespace {

constexpr uint64_t kRamBytes = 256 * 1024;
constexpr uint64_t kRamHole = 128 * 1024;  // the other half lies at 4 GiB
constexpr uint16_t kQueueSize = 16;
constexpr uint32_t kQueues = 4;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;

class Machine {
 public:
  explicit Machine(uint64_t features) {
    for (uint32_t i = 0; i < kQueues; ++i) {
      queues_.push_back(std::make_unique<DriverQueue>(memory_, Gpa{0x1000 + 0x1000 * i}, kQueueSize, features));
    }
  }

  void start_honestly(uint64_t features) {
    if (!driver_.negotiate(features)) return;
    for (uint32_t i = 0; i < kQueues; ++i) (void)driver_.start_queue(i, queues_[i]->layout());
    driver_.driver_ok();
  }

  void step(ScriptReader& script) {
    const auto index = script.take<uint8_t>();
    DriverQueue& queue = *queues_[index % kQueues];
    switch (index / kQueues % 9) {
      case 0:
        driver_.write(script.take<uint8_t>() * 4u, script.take<uint32_t>());
        break;
      case 1: {
        const Gpa gpa = take_gpa(script, kRamBytes, kRamHole);
        const auto bytes = script.take_bytes(script.take<uint8_t>() % 64);
        const auto to = memory_.at(gpa, bytes.size());
        if (!to.empty()) std::ranges::copy(std::as_bytes(bytes), to.begin());
        break;
      }
      case 2:
        (void)transport_.notify(index % 8);
        break;
      case 3: {
        const auto at = static_cast<uint16_t>(script.take<uint8_t>() % kQueueSize);
        const Gpa gpa = take_gpa(script, kRamBytes, kRamHole);
        const auto length = script.take<uint32_t>() >> (script.take<uint8_t>() % 32);
        queue.write_descriptor(at, {gpa.value, length, static_cast<uint16_t>(script.take<uint8_t>() % 8),
                                    static_cast<uint16_t>(script.take<uint8_t>() % (kQueueSize + 2))});
        break;
      }
      case 4:
        make_available(index % kQueues, script.take<uint8_t>());
        break;
      case 5:
        driver_.write(VIRTIO_MMIO_STATUS, script.take<uint8_t>());
        break;
      case 6:
        transport_.update_config([&] { balloon_.set_target(script.take<uint32_t>()); });
        break;
      case 7: {
        std::optional<uint32_t> stats;
        transport_.with_lock([&] { stats = balloon_.want_stats(); });
        if (stats && transport_.is_live(*stats)) (void)transport_.notify(*stats);
        break;
      }
      default:
        send_frames(script, index % kQueues);
        break;
    }
  }

  const char* check_books() {
    uint64_t ballooned = 0;
    for (uint64_t frame = 0; frame < reclaim_.frame_count(); ++frame) {
      ballooned += reclaim_.state(frame) == FrameState::kBallooned ? kPageSize : 0;
    }
    return ballooned == reclaim_.stats().ballooned_bytes ? nullptr
                                                         : "the balloon's size is not what its frames add up to";
  }

  const char* check_recovery();

 private:
  void make_available(uint32_t index, uint8_t head) {
    queues_[index]->write_ring(available_[index] % kQueueSize, head % (kQueueSize + 1));
    queues_[index]->write_available_index(++available_[index]);
  }

  // Nearly well-formed: one buffer with frame numbers, each the script's.
  void send_frames(ScriptReader& script, uint32_t index) {
    const auto head = static_cast<uint16_t>(script.take<uint8_t>() % kQueueSize);
    const Gpa at{0x8000 + uint64_t{head} * 0x100};
    const uint32_t count = script.take<uint8_t>() % 64;
    for (uint32_t i = 0; i < count; ++i) {
      const auto raw = script.take<uint16_t>();
      const uint32_t pfn = (raw & 0x8000) != 0 ? 0x100000 + raw % 64 : raw % 256;
      (void)memory_.write(Gpa{at.value + 4 * i}, pfn);
    }
    const auto flags = static_cast<uint16_t>(index == 3 ? VRING_DESC_F_WRITE : 0);
    const Gpa from = index == 3 ? take_gpa(script, kRamBytes, kRamHole) : at;
    queues_[index]->write_descriptor(head, {from.value, index == 3 ? count * 512 : count * 4, flags, 0});
    make_available(index, static_cast<uint8_t>(head));
    (void)transport_.notify(index);
  }

  NullInterrupt interrupt_;
  GuestMemory memory_ = GuestMemory::create(kRamBytes, kRamHole).value();
  Reclaim reclaim_{memory_};
  VirtioBalloon balloon_{reclaim_, {}};
  MmioTransport transport_{balloon_, memory_, interrupt_};
  MmioDriver driver_{transport_};
  std::vector<std::unique_ptr<DriverQueue>> queues_;
  std::array<uint16_t, kQueues> available_{};
};

const char* Machine::check_recovery() {
  if (!driver_.negotiate(kVersion1)) return "a reset device refuses an honest handshake";
  if (reclaim_.stats().ballooned_bytes != 0) return "a reset leaves pages in the balloon";
  DriverQueue queue(memory_, Gpa{0x1000}, kQueueSize);
  std::ranges::fill(memory_.at(Gpa{0x1000}, 0x1000), std::byte{0});
  if (!driver_.start_queue(0, queue.layout())) return "a reset device refuses an honest queue";
  driver_.driver_ok();
  constexpr Gpa kRequest{0x8000};
  constexpr uint64_t kGiven = 0x10;
  std::ranges::fill(memory_.at(Gpa{(kGiven - 1) * kPageSize}, 3 * kPageSize), std::byte{0x5a});
  (void)memory_.write(kRequest, static_cast<uint32_t>(kGiven));
  const std::array<Segment, 1> segments = {{{kRequest, 4}}};
  if (!queue.add(segments)) return "no descriptor for an honest request";
  queue.publish();
  driver_.notify(0);
  if (!queue.take_used()) return "an honest request is not answered";
  const auto is_all = [&](uint64_t frame, int byte) {
    return std::ranges::all_of(memory_.at(Gpa{frame * kPageSize}, kPageSize),
                               [byte](std::byte found) { return found == static_cast<std::byte>(byte); });
  };
  if (!is_all(kGiven, 0)) return "an honestly inflated page was not given up";
  if (!is_all(kGiven - 1, 0x5a) || !is_all(kGiven + 1, 0x5a)) return "a neighbour of an inflated page has changed";
  return nullptr;
}

}  // namespace

const char* run_balloon_script(std::span<const uint8_t> bytes) {
  ScriptReader script(bytes);
  const auto flags = script.take<uint8_t>();
  const uint64_t features = kVersion1 | (flags & 0x37u);  // all that the device knows, in any mixture
  Machine machine(features);
  if ((flags & 0x40) != 0) machine.start_honestly(features);
  while (!script.done()) machine.step(script);
  if (const char* wrong = machine.check_books()) return wrong;
  return machine.check_recovery();
}

}  // namespace twofold::testing
