// Steering a balloon device: targets in, status out, and statistics at an interval.
#pragma once

#include <chrono>
#include <memory>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"
#include "vmm/machine/event_loop.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold {

// Thread safety: set_target(), set_stats_interval() and status() in any thread; the timer runs on the event loop's.
// What they share is guarded by the transport's lock, or is the kernel's (the timer).
class Balloon {
 public:
  static constexpr std::chrono::milliseconds kDefaultStatsInterval{1000};

  // All are borrowed and outlive it. Asks for statistics at the default interval from now on.
  static Result<std::unique_ptr<Balloon>> create(VirtioBalloon& device, MmioTransport& transport, EventLoop& loop);
  ~Balloon();
  Balloon(const Balloon&) = delete;
  Balloon& operator=(const Balloon&) = delete;

  // Asks the guest to have so many bytes in its balloon; rounded down to whole pages, and cut at the guest's memory.
  void set_target(uint64_t bytes);

  // How often the guest is asked for its statistics; 0: never.
  Status set_stats_interval(std::chrono::milliseconds interval);

  [[nodiscard]] BalloonStatus status() const;

 private:
  Balloon(VirtioBalloon& device, MmioTransport& transport, EventLoop& loop, UniqueFd timer)
      : device_(device), transport_(transport), loop_(loop), timer_(std::move(timer)) {}
  void ask_for_stats();

  VirtioBalloon& device_;
  MmioTransport& transport_;
  EventLoop& loop_;
  UniqueFd timer_;
};

}  // namespace twofold
