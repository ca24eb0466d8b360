// Why a guest ended, and the exit status that tells it to a script.
//
// QEMU's isa-debug-exit convention makes every verdict of a guest an odd status, (value << 1) | 1. So odd numbers are
// the guest's, and Twofold's own words are the even ones.
#pragma once

#include <cstdint>
#include <string>

namespace twofold {

enum class StopKind : uint8_t {
  kVerdict,        // the guest wrote to the debug-exit port
  kTripleFault,    // KVM_EXIT_SHUTDOWN
  kInternalError,  // KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_FAIL_ENTRY, or KVM_RUN itself refused
  kUnknownExit,    // an exit that Twofold does not handle
  kRequested,      // SIGINT, SIGTERM, SIGHUP, the console's escape, or a client of the control socket
};

struct StopReason {
  StopKind kind = StopKind::kRequested;
  uint32_t verdict = 0;  // what the guest wrote, for kVerdict
  std::string detail;    // one line for people: who asked, or what KVM said
};

namespace exit_status {
inline constexpr int kBadInput = 2;
inline constexpr int kHostCannot = 4;
inline constexpr int kTripleFault = 100;
inline constexpr int kInternalError = 102;
inline constexpr int kUnknownExit = 104;
inline constexpr int kRequested = 106;
}  // namespace exit_status

// The status `twofold run` ends with. A verdict is cut to the 8 bits that a process has for it, as QEMU's is.
[[nodiscard]] int exit_status_of(const StopReason& reason);

// "the guest ended itself with verdict 0x10", …
[[nodiscard]] std::string describe(const StopReason& reason);

}  // namespace twofold
