// Where a guest's console output goes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

// Takes a console's bytes in order. Safe in any thread.
class ConsoleSink {
 public:
  virtual ~ConsoleSink() = default;
  virtual void write(std::span<const char> bytes) = 0;
};

// --console none.
class NullSink final : public ConsoleSink {
 public:
  void write(std::span<const char> /*bytes*/) override {}
};

// Writes to a descriptor, a line at a time: a UART hands over single bytes, and a system call for each would cost as
// much as the exit that brought it. Bytes wait in a small buffer until a newline, until it is full, or, so that a
// prompt without a newline shows, until the timer that the first byte armed runs out (kFlushDelay).
//
// Slow readers: write() blocks its vCPU until there is room, so that no byte is lost; the I/O thread never blocks here
// (on_timer() puts it off). cancel() releases whoever waits. A reader that went away (EPIPE) or a full disk turns the
// sink silent: output is dropped and counted, and the guest runs on.
//
// Thread safety: all of it. mutex_ guards the buffer and the order of bytes, and is held across a blocking write; that
// is why on_timer() only tries it.
class FdSink final : public ConsoleSink {
 public:
  static constexpr size_t kBufferBytes = 256;  // below PIPE_BUF: one write never blocks once poll says writable
  static constexpr int64_t kFlushDelayNs = 2'000'000;

  // `fd` is borrowed and its flags are left alone (it may be a terminal that others share). Ignores SIGPIPE for the
  // whole process: a reader that goes away must not end the guest.
  static Result<std::unique_ptr<FdSink>> create(int fd);
  // Creates or truncates `path`.
  static Result<std::unique_ptr<FdSink>> create_file(const std::string& path);
  // Flushes what a reader takes at once; drops the rest. Call flush() before, where every byte counts.
  ~FdSink() override;

  void write(std::span<const char> bytes) override;

  // Writes out all that is buffered; blocks on a slow reader until done or cancelled.
  void flush();

  // For the event loop: readable when on_timer() wants to be called. Level-triggered epoll fits.
  [[nodiscard]] int timer_fd() const { return timer_.get(); }
  // Flushes without blocking; arms the timer again if the reader has no room.
  void on_timer();

  // Ends all waiting, now and later: from here on, what cannot be written at once is dropped. For shutting down.
  void cancel();

  // Bytes dropped because of an error or after cancel().
  [[nodiscard]] uint64_t dropped_bytes() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  enum class Wait { kAllowed, kNever };

  FdSink(int fd, UniqueFd timer, UniqueFd cancel_event);
  void append(char byte);        // REQUIRES: mutex_
  bool flush_locked(Wait wait);  // REQUIRES: mutex_. False: the reader has no room, and waiting is not allowed
  bool wait_writable(Wait wait) const;
  void arm_timer() const;

  const int fd_;
  UniqueFd owned_;               // the same descriptor where this object opened it
  const UniqueFd timer_;         // timerfd, one-shot
  const UniqueFd cancel_event_;  // eventfd; stays signalled once cancelled
  std::atomic<bool> cancelled_{false};
  std::atomic<uint64_t> dropped_{0};  // relaxed: a statistic

  std::mutex mutex_;
  std::array<char, kBufferBytes> buffer_;  // guarded by mutex_
  size_t used_ = 0;                        // guarded by mutex_
  bool dead_ = false;                      // guarded by mutex_: an error other than "try again" was met
};

}  // namespace twofold
