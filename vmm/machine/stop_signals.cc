#include "vmm/machine/stop_signals.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace twofold {

Result<StopSignals> StopSignals::block() {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_host("cannot create a signalfd: {}", errno_text(errno));
  return StopSignals(std::move(fd), before);
}

std::string StopSignals::take() const {
  signalfd_siginfo info = {};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return "no signal";
  switch (info.ssi_signo) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    default:
      return "SIGHUP";
  }
}

void StopSignals::restore() {
  if (fd_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  fd_.reset();
}

}  // namespace twofold
