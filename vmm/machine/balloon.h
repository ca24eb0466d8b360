// Steering a balloon device: targets in, status out, statistics at an interval, and what is to be done when a burst of
// giving memory up is over.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"
#include "vmm/machine/event_loop.h"
#include "vmm/memory/reclaim.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold {

// Thread safety: set_target(), set_stats_interval() and status() in any thread; the timers run on the event loop's.
// What they share is guarded by the transport's lock and the door's own, or is the kernel's (the timers).
class Balloon {
 public:
  static constexpr std::chrono::milliseconds kDefaultStatsInterval{1000};
  static constexpr std::chrono::milliseconds kSettleAfter{50};  // see Reclaim::settle

  // All are borrowed and outlive it. Asks for statistics at the default interval from now on.
  static Result<std::unique_ptr<Balloon>> create(VirtioBalloon& device, MmioTransport& transport, Reclaim& reclaim,
                                                 EventLoop& loop);
  ~Balloon();
  Balloon(const Balloon&) = delete;
  Balloon& operator=(const Balloon&) = delete;

  // Asks the guest to have so many bytes in its balloon; rounded down to whole pages, and cut at the guest's memory.
  void set_target(uint64_t bytes);

  // How often the guest is asked for its statistics; 0: never.
  Status set_stats_interval(std::chrono::milliseconds interval);

  [[nodiscard]] BalloonStatus status() const;

 private:
  Balloon(VirtioBalloon& device, MmioTransport& transport, Reclaim& reclaim, EventLoop& loop, UniqueFd stats_timer,
          UniqueFd settle_timer);
  Status watch(int timer, std::function<void()> when_it_expires);
  void ask_for_stats();

  VirtioBalloon& device_;
  MmioTransport& transport_;
  Reclaim& reclaim_;
  EventLoop& loop_;
  UniqueFd stats_timer_;
  UniqueFd settle_timer_;
};

}  // namespace twofold
