#include "vmm/devices/terminal.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "vmm/base/fd.h"

namespace twofold {

namespace {

// What the signal handlers need, so it cannot be in an object. fd and the modes are written while `active` is false,
// and the release store of true publishes them to handlers on any thread.
struct RawTerminal {
  int fd = -1;
  termios original{};
  termios raw{};
  std::atomic<bool> active{false};
};
RawTerminal terminal;
static_assert(std::atomic<bool>::is_always_lock_free);

constexpr std::array kFatalSignals = {SIGHUP,  SIGINT, SIGQUIT, SIGTERM, SIGILL,  SIGABRT, SIGFPE,
                                      SIGSEGV, SIGBUS, SIGSYS,  SIGXCPU, SIGXFSZ, SIGALRM};

// All below is async-signal-safe: tcgetpgrp, tcsetattr, sigaction, signal and raise are (signal-safety(7)).

// In the background the terminal is another's: its mode is not ours to set, and the attempt would stop us (SIGTTOU).
bool in_background() {
  const pid_t owner = ::tcgetpgrp(terminal.fd);  // -1 where there is no job control: nobody else's, then
  return owner > 0 && owner != ::getpgrp();
}

void set_mode(const termios& mode) {
  if (!in_background()) ::tcsetattr(terminal.fd, TCSANOW, &mode);
}

void restore() {
  if (terminal.active.exchange(false)) set_mode(terminal.original);
}

void on_fatal_signal(int signal) {
  restore();
  // Die of it after all, so that the parent sees why. The signal is blocked in its own handler, and delivered on
  // return.
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

void on_terminal_stop(int /*signal*/) {
  const int saved_errno = errno;
  if (terminal.active.load(std::memory_order_acquire)) set_mode(terminal.original);
  ::raise(SIGSTOP);
  // Here again after SIGCONT.
  if (terminal.active.load(std::memory_order_acquire)) set_mode(terminal.raw);
  errno = saved_errno;
}

void handle_if_default(int signal, void (*handler)(int)) {
  struct sigaction now {};
  if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) return;
  struct sigaction ours {};
  ours.sa_handler = handler;
  ours.sa_flags = SA_RESTART;
  ::sigemptyset(&ours.sa_mask);
  ::sigaction(signal, &ours, nullptr);
}

void install_handlers_once() {
  static bool installed = false;
  if (std::exchange(installed, true)) return;
  std::atexit(restore);
  for (const int signal : kFatalSignals) handle_if_default(signal, on_fatal_signal);
  handle_if_default(SIGTSTP, on_terminal_stop);
}

termios raw_mode(termios mode) {
  mode.c_iflag &= ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  mode.c_oflag |= OPOST;
  mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  mode.c_cflag = (mode.c_cflag & ~static_cast<tcflag_t>(CSIZE | PARENB)) | CS8;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  return mode;
}

}  // namespace

Result<std::optional<Terminal>> Terminal::make_raw(int fd) {
  if (::isatty(fd) == 0) return std::optional<Terminal>();
  if (terminal.active.load()) return fail("cannot put the terminal in raw mode: it is already");
  termios original{};
  if (::tcgetattr(fd, &original) != 0) return fail("cannot read the terminal's mode: {}", errno_text(errno));
  terminal.fd = fd;
  terminal.original = original;
  terminal.raw = raw_mode(original);

  // Active first: a signal between the two steps restores what was not changed yet, which harms nothing.
  install_handlers_once();
  terminal.active.store(true, std::memory_order_release);
  Terminal owner(true);
  if (::tcsetattr(fd, TCSANOW, &terminal.raw) != 0) {
    return fail("cannot put the terminal in raw mode: {}", errno_text(errno));
  }
  return std::optional<Terminal>(std::move(owner));
}

Terminal::Terminal(Terminal&& other) noexcept : owner_(std::exchange(other.owner_, false)) {}

Terminal::~Terminal() {
  if (owner_) restore();
}

}  // namespace twofold
