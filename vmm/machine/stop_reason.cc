#include "vmm/machine/stop_reason.h"

#include <fmt/format.h>

namespace twofold {

int exit_status_of(const StopReason& reason) {
  switch (reason.kind) {
    case StopKind::kVerdict:
      return static_cast<int>(((reason.verdict << 1) | 1) & 0xff);
    case StopKind::kTripleFault:
      return exit_status::kTripleFault;
    case StopKind::kInternalError:
      return exit_status::kInternalError;
    case StopKind::kUnknownExit:
      return exit_status::kUnknownExit;
    case StopKind::kRequested:
      return exit_status::kRequested;
  }
  return exit_status::kInternalError;
}

std::string describe(const StopReason& reason) {
  switch (reason.kind) {
    case StopKind::kVerdict:
      return fmt::format("the guest ended itself with verdict {:#x}", reason.verdict);
    case StopKind::kTripleFault:
      return fmt::format("the guest died of a triple fault{}{}", reason.detail.empty() ? "" : ": ", reason.detail);
    case StopKind::kInternalError:
      return fmt::format("KVM could not go on: {}", reason.detail);
    case StopKind::kUnknownExit:
      return fmt::format("KVM handed over an exit that is not understood: {}", reason.detail);
    case StopKind::kRequested:
      return fmt::format("stopped on request: {}", reason.detail);
  }
  return "ended for no known reason";
}

}  // namespace twofold
