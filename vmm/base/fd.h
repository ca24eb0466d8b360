// One owner for one file descriptor.
#pragma once

#include <utility>

#include "vmm/base/result.h"

namespace twofold {

// Owns a descriptor and closes it. Movable, not copyable; -1 means none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// An eventfd, non-blocking and close-on-exec, with its counter at zero.
Result<UniqueFd> make_eventfd();

// Adds one to an eventfd. Safe in any thread and in signal handlers; never blocks.
void signal_eventfd(int fd);

// Reads an eventfd back to zero. Returns whether it had been signalled.
bool drain_eventfd(int fd);

// Opens /dev/null for those of stdin, stdout and stderr that this process was started without, so that no other
// descriptor is ever taken for them. First thing in main.
void fill_standard_streams();

}  // namespace twofold
