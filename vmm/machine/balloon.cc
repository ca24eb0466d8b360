#include "vmm/machine/balloon.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

namespace twofold {

Result<std::unique_ptr<Balloon>> Balloon::create(VirtioBalloon& device, MmioTransport& transport, EventLoop& loop) {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return fail_host("cannot create a timer for the balloon's statistics: {}", errno_text(errno));
  const int fd = timer.get();
  std::unique_ptr<Balloon> balloon(new Balloon(device, transport, loop, std::move(timer)));
  const auto watched = loop.add(fd, EPOLLIN, [balloon = balloon.get(), fd](uint32_t) {
    uint64_t expirations;
    (void)::read(fd, &expirations, sizeof expirations);  // none: somebody has just set it anew
    balloon->ask_for_stats();
  });
  if (!watched) return pass_on(watched);
  if (auto done = balloon->set_stats_interval(kDefaultStatsInterval); !done) return pass_on(done);
  return balloon;
}

Balloon::~Balloon() {
  loop_.remove(timer_.get());
}

void Balloon::set_target(uint64_t bytes) {
  transport_.update_config([&] { device_.set_target(bytes); });
}

Status Balloon::set_stats_interval(std::chrono::milliseconds interval) {
  const auto count = interval.count();
  itimerspec spec{};
  spec.it_value = spec.it_interval = {count / 1000, count % 1000 * 1'000'000};
  if (::timerfd_settime(timer_.get(), 0, &spec, nullptr) == 0) return {};
  return fail_host("cannot set the interval of the balloon's statistics: {}", errno_text(errno));
}

void Balloon::ask_for_stats() {
  std::optional<uint32_t> queue;
  transport_.with_lock([&] { queue = device_.want_stats(); });
  // What a driver sends beyond one call's bound waits for the next: it must not keep the loop.
  if (queue && transport_.is_live(*queue)) (void)transport_.notify(*queue);
}

BalloonStatus Balloon::status() const {
  BalloonStatus status;
  transport_.with_lock([&] { status = device_.status(); });
  return status;
}

}  // namespace twofold
