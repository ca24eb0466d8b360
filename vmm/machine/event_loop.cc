#include "vmm/machine/event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace twofold {

namespace {

Status watch(int epoll, int fd, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    return fail_host("cannot watch descriptor {}: {}", fd, errno_text(errno));
  }
  return {};
}

}  // namespace

Result<EventLoop> EventLoop::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_host("cannot create an epoll instance: {}", errno_text(errno));
  auto stop = make_eventfd();
  if (!stop) return pass_on(stop);
  if (auto done = watch(epoll.get(), stop->get(), EPOLLIN); !done) return pass_on(done);
  return EventLoop(std::move(epoll), std::move(*stop));
}

Status EventLoop::add(int fd, uint32_t events, Callback callback) {
  if (auto done = watch(epoll_.get(), fd, events); !done) return done;
  callbacks_[fd] = std::move(callback);
  return {};
}

void EventLoop::remove(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  callbacks_.erase(fd);
}

void EventLoop::run() {
  std::array<epoll_event, 16> events;
  for (;;) {
    const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (n < 0 && errno != EINTR) return;  // only EBADF and kin are left: our own bug, and no way to go on
    for (int i = 0; i < n; ++i) {
      const auto& event = events[static_cast<size_t>(i)];
      if (event.data.fd == stop_.get()) return;
      const auto found = callbacks_.find(event.data.fd);
      if (found == callbacks_.end()) continue;  // removed by an earlier callback of this batch
      const Callback callback = found->second;  // a copy: the callback may remove itself
      callback(event.events);
    }
  }
}

}  // namespace twofold
