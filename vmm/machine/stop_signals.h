// SIGINT, SIGTERM and SIGHUP as events of the loop rather than interruptions.
#pragma once

#include <csignal>
#include <string>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

// Blocks the three signals for the calling thread and every thread that it starts later. Create one on the main thread,
// first of all; destroying it restores the mask that was there before.
class StopSignals {
 public:
  static Result<StopSignals> block();
  StopSignals(StopSignals&& other) noexcept = default;
  StopSignals& operator=(StopSignals&&) = delete;
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() { restore(); }

  // Readable when one has come.
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Takes one and names it: "SIGTERM".
  [[nodiscard]] std::string take() const;

  // From here on the signals do again what they did before: for a last step that may block.
  void restore();

 private:
  StopSignals(UniqueFd fd, const sigset_t& before) : fd_(std::move(fd)), before_(before) {}
  UniqueFd fd_;
  sigset_t before_;
};

}  // namespace twofold
