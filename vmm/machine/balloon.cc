#include "vmm/machine/balloon.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

namespace twofold {

namespace {

UniqueFd make_timer() {
  return UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

// Zero stops the timer.
bool set_timer(int timer, std::chrono::milliseconds first, std::chrono::milliseconds then) {
  const auto as_spec = [](std::chrono::milliseconds time) {
    return timespec{time.count() / 1000, time.count() % 1000 * 1'000'000};
  };
  const itimerspec spec{as_spec(then), as_spec(first)};
  return ::timerfd_settime(timer, 0, &spec, nullptr) == 0;
}

}  // namespace

Balloon::Balloon(VirtioBalloon& device, MmioTransport& transport, Reclaim& reclaim, EventLoop& loop,
                 UniqueFd stats_timer, UniqueFd settle_timer)
    : device_(device),
      transport_(transport),
      reclaim_(reclaim),
      loop_(loop),
      stats_timer_(std::move(stats_timer)),
      settle_timer_(std::move(settle_timer)) {}

Result<std::unique_ptr<Balloon>> Balloon::create(VirtioBalloon& device, MmioTransport& transport, Reclaim& reclaim,
                                                 EventLoop& loop) {
  UniqueFd stats_timer = make_timer();
  UniqueFd settle_timer = make_timer();
  if (!stats_timer || !settle_timer) return fail_host("cannot create a timer for the balloon: {}", errno_text(errno));
  std::unique_ptr<Balloon> balloon(
      new Balloon(device, transport, reclaim, loop, std::move(stats_timer), std::move(settle_timer)));
  const int settle = balloon->settle_timer_.get();
  if (auto done = balloon->watch(settle, [&reclaim] { reclaim.settle(); }); !done) return pass_on(done);
  if (auto done = balloon->watch(balloon->stats_timer_.get(), [it = balloon.get()] { it->ask_for_stats(); }); !done) {
    return pass_on(done);
  }
  reclaim.set_settler([settle] { (void)set_timer(settle, kSettleAfter, {}); });
  if (auto done = balloon->set_stats_interval(kDefaultStatsInterval); !done) return pass_on(done);
  return balloon;
}

Status Balloon::watch(int timer, std::function<void()> when_it_expires) {
  return loop_.add(timer, EPOLLIN, [timer, act = std::move(when_it_expires)](uint32_t) {
    uint64_t expirations;
    (void)::read(timer, &expirations, sizeof expirations);  // none: somebody has just set it anew
    act();
  });
}

Balloon::~Balloon() {
  reclaim_.set_settler({});
  loop_.remove(settle_timer_.get());
  loop_.remove(stats_timer_.get());
}

void Balloon::set_target(uint64_t bytes) {
  transport_.update_config([&] { device_.set_target(bytes); });
}

Status Balloon::set_stats_interval(std::chrono::milliseconds interval) {
  if (set_timer(stats_timer_.get(), interval, interval)) return {};
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
