#include "vmm/devices/console_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "vmm/base/log.h"

namespace twofold {

namespace {

Result<UniqueFd> make_timer() {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer) return fail("cannot create the console's timer: {}", errno_text(errno));
  return timer;
}

}  // namespace

Result<std::unique_ptr<FdSink>> FdSink::create(int fd) {
  auto timer = make_timer();
  if (!timer) return pass_on(timer);
  auto cancel_event = make_eventfd();
  if (!cancel_event) return pass_on(cancel_event);
  std::signal(SIGPIPE, SIG_IGN);
  return std::unique_ptr<FdSink>(new FdSink(fd, std::move(*timer), std::move(*cancel_event)));
}

Result<std::unique_ptr<FdSink>> FdSink::create_file(const std::string& path) {
  // Non-blocking for the opening alone: a FIFO that nobody reads is refused (ENXIO) rather than waited for.
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644));
  if (!file) return fail("cannot open '{}' for the guest's console: {}", path, errno_text(errno));
  ::fcntl(file.get(), F_SETFL, 0);
  auto sink = create(file.get());
  if (sink) (*sink)->owned_ = std::move(file);
  return sink;
}

FdSink::FdSink(int fd, UniqueFd timer, UniqueFd cancel_event)
    : fd_(fd), timer_(std::move(timer)), cancel_event_(std::move(cancel_event)) {}

FdSink::~FdSink() {
  const std::lock_guard lock(mutex_);
  flush_locked(Wait::kNever);
}

void FdSink::write(std::span<const char> bytes) {
  const std::lock_guard lock(mutex_);
  for (const char byte : bytes) append(byte);
}

void FdSink::append(char byte) {
  if (used_ == 0) arm_timer();
  buffer_[used_++] = byte;
  if (byte == '\n' || used_ == buffer_.size()) flush_locked(Wait::kAllowed);
}

void FdSink::flush() {
  const std::lock_guard lock(mutex_);
  flush_locked(Wait::kAllowed);
}

void FdSink::on_timer() {
  drain_eventfd(timer_.get());  // a timerfd reads as an eventfd does
  const std::unique_lock lock(mutex_, std::try_to_lock);
  // Where the lock is taken, a vCPU is writing, or waits in flush_locked() and will write all there is.
  if (!lock.owns_lock() || !flush_locked(Wait::kNever)) arm_timer();
}

void FdSink::cancel() {
  cancelled_.store(true);
  signal_eventfd(cancel_event_.get());
}

bool FdSink::flush_locked(Wait wait) {
  size_t done = 0;
  while (done < used_ && !dead_) {
    if (!wait_writable(wait)) break;
    // A terminal that is writable has room for a byte, no more: where waiting is not allowed, one is what it gets.
    const ssize_t n = ::write(fd_, buffer_.data() + done, wait == Wait::kNever ? 1 : used_ - done);
    if (n > 0) done += static_cast<size_t>(n);
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
      dead_ = true;
      spdlog::warn("the guest's console: {}; its output is dropped from here on", errno_text(errno));
    }
  }
  std::copy(buffer_.begin() + static_cast<ptrdiff_t>(done), buffer_.begin() + static_cast<ptrdiff_t>(used_),
            buffer_.begin());
  used_ -= done;
  if (used_ > 0 && wait == Wait::kNever && !dead_ && !cancelled_.load()) return false;
  dropped_.fetch_add(used_, std::memory_order_relaxed);
  used_ = 0;
  return true;
}

bool FdSink::wait_writable(Wait wait) const {
  while (true) {
    std::array<pollfd, 2> fds = {{{fd_, POLLOUT, 0}, {cancel_event_.get(), POLLIN, 0}}};
    const int ready = ::poll(fds.data(), fds.size(), wait == Wait::kAllowed ? -1 : 0);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return true;  // let write(2) say what is wrong
    // Errors and hang-ups too are write(2)'s to tell.
    if (fds[0].revents != 0) return true;
    if (fds[1].revents != 0 || wait == Wait::kNever) return false;
  }
}

void FdSink::arm_timer() const {
  itimerspec when{};
  when.it_value.tv_nsec = kFlushDelayNs;
  ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

}  // namespace twofold
