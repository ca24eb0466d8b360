// The commands that look at running VMs and at the host. Each returns the process's exit status: 0, or 1 with one line
// on stderr.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "vmm/control/vm_service.h"

namespace twofold::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

// `twofold ps [VM]`: the VMs that run or, with a VM, its guest's processes.
int ps_command(const std::string& vm, bool json);

// `twofold walk [VM] GVA`. An empty `vm` means the only one that runs; so for the next.
int walk_command(const std::string& vm, const WalkRequest& request, bool json);

// `twofold pause|resume|stop [VM]`: `state` is the API's word, "paused", "running" or "stopped".
int state_command(const std::string& vm, const std::string& state);

// `twofold balloon [VM] [SIZE]`: sets the balloon's target or, without one, tells how it stands. With `wait`, returns
// when the balloon has that size, with a progress bar on a terminal; status 1 if it does not get there in `seconds`.
struct BalloonRequest {
  std::string vm;
  std::optional<uint64_t> target_bytes;
  bool wait = false;
  uint64_t seconds = 60;
};
int balloon_command(const BalloonRequest& request, bool json);

// `twofold stats [VM]`: the VM's memory, its merging, its balloon, and what its guest says of itself; with `watch`,
// again each second.
int stats_command(const std::string& vm, bool watch, bool json);

// `twofold merge [VM] [on|off]`: has its identical pages merged, or no longer; without a word, tells how it goes.
int merge_command(const std::string& vm, std::optional<bool> on, bool json);

// `twofold host`: serves share domains on `socket` until SIGINT or SIGTERM. `pool`: of each domain, as a size.
int host_command(const std::string& socket, const std::string& pool);

// `twofold doctor`. 0 if this host can run guests.
int doctor_command(bool json);

// Prints "twofold: error: …" and returns `status`.
int complain(const std::string& message, int status);

}  // namespace twofold::cli
