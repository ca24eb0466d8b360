// The I/O thread's loop: descriptors in, callbacks out.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

// Level-triggered epoll. One thread adds, removes and runs; only stop() may come from another (or from a signal
// handler).
class EventLoop {
 public:
  using Callback = std::function<void(uint32_t events)>;

  static Result<EventLoop> create();

  // Calls `callback` in run() whenever `fd` has any of `events` (EPOLLIN, …). The descriptor stays the caller's, and is
  // removed before it is closed. Errors: EPERM for regular files, which are always ready and need no loop.
  Status add(int fd, uint32_t events, Callback callback);
  void remove(int fd);

  // Handles events until stop(). Callbacks may add and remove.
  void run();

  // Makes run() return after the callback at hand. Safe in any thread; sticky.
  void stop() const { signal_eventfd(stop_.get()); }

 private:
  EventLoop(UniqueFd epoll, UniqueFd stop) : epoll_(std::move(epoll)), stop_(std::move(stop)) {}

  UniqueFd epoll_;
  UniqueFd stop_;
  std::map<int, Callback> callbacks_;
};

}  // namespace twofold
