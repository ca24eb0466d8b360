// The user's terminal in raw mode, for as long as the guest has it.
#pragma once

#include <optional>

#include "vmm/base/result.h"

namespace twofold {

// Puts a terminal in raw mode, so that each key, Ctrl-C too, goes to the guest, and puts it back on every way out:
// destructor, exit(), a fatal signal that nobody else handles (SIGSEGV, SIGABRT, SIGTERM, SIGHUP, …), and while stopped
// by SIGTSTP. Nothing helps against SIGKILL; `stty sane` does then. Output processing stays on, so that a "\n" of the
// guest's still returns the carriage.
//
// At most one at a time. Create it on the main thread, before other threads start: it installs signal handlers, for
// those signals whose action is still the default.
class Terminal {
 public:
  // Nothing (and no error) if `fd` is not a terminal. `fd` is borrowed.
  static Result<std::optional<Terminal>> make_raw(int fd);

  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

 private:
  explicit Terminal(bool owner) : owner_(owner) {}
  bool owner_;
};

}  // namespace twofold
