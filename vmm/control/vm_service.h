// One VM, as the control socket sees it. The server talks to this face alone, so that it can be tested without KVM.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"

namespace twofold {

enum class VmState : uint8_t { kCreated, kRunning, kPaused, kStopped };

// What GET /vm tells. Bytes are bytes, seconds are seconds since the VM was created.
struct VmInfo {
  std::string name;
  pid_t pid = 0;
  VmState state = VmState::kCreated;
  uint32_t cpus = 0;
  uint64_t memory_bytes = 0;    // what the guest was promised
  uint64_t resident_bytes = 0;  // what of that the host holds in memory now
  std::string kernel;           // the path as the user gave it
  double uptime_seconds = 0;
  std::optional<int> exit_status;  // as `twofold run` will end with; once the guest ends
  uint64_t unknown_ports = 0;      // accesses to I/O ports that no device claims
  uint64_t unknown_mmio = 0;       // accesses to guest-physical addresses that are neither RAM nor a device
};

// Which address to walk, and whose page tables to take. At most one of `cr3`, `pid` and `process` is set; with none,
// the vCPU's own CR3 counts.
struct WalkRequest {
  Gva gva;
  std::optional<uint64_t> cr3;         // guest-physical address of a page directory
  std::optional<uint32_t> pid;         // a process of a guest whose process table Twofold knows
  std::optional<std::string> process;  // the same, by name
  std::optional<uint32_t> vcpu;        // whose CR3 and CR4 count; vCPU 0 if unset
};

// What GET /vm/balloon tells. Bytes are bytes.
struct BalloonInfo {
  uint64_t target_bytes = 0;
  uint64_t actual_bytes = 0;                                 // in the balloon, by the guest's word
  uint64_t most_bytes = 0;                                   // that a target may be: the guest's memory
  bool driver_ready = false;                                 // the guest has a driver for it
  double seconds_since_progress = 0;                         // since the balloon's size or the target last changed
  std::optional<double> seconds_since_statistics;            // none: the guest has sent none
  std::vector<std::pair<std::string, uint64_t>> statistics;  // of the guest, by name
  uint64_t inflate_requests = 0;
  uint64_t deflate_requests = 0;
  uint64_t report_requests = 0;
  uint64_t bad_frames = 0;  // frame numbers that name no memory of the guest's
};

// What GET /vm/memory tells.
struct MemoryInfo {
  uint64_t promised_bytes = 0;
  uint64_t resident_bytes = 0;   // that the host holds in memory for it
  uint64_t huge_bytes = 0;       // of those, in huge pages
  uint64_t swapped_bytes = 0;    // in the host's swap
  uint64_t ballooned_bytes = 0;  // in the guest's balloon
  uint64_t inflated_bytes = 0;   // these four since the VM was created
  uint64_t deflated_bytes = 0;
  uint64_t reported_bytes = 0;  // given up because the guest reported them as free
  uint64_t discard_calls = 0;   // system calls that gave memory up
  uint64_t minor_faults = 0;    // of the process that runs it, in the host
  uint64_t major_faults = 0;
};

// What GET /vm/merging tells. Counts are since the VM was created.
struct MergingInfo {
  bool on = false;
  std::vector<std::pair<std::string, uint64_t>> counts;  // by name; "…_bytes" are bytes, and what holds now
  double cpu_seconds = 0;                                // of the thread that merges
  double wait_seconds = 0;                               // that writers waited, at most, all together
  std::vector<uint64_t> waits;                           // how often writers waited less than 2^n microseconds, by n
};

// Thread safety: the server calls these on its own thread, one at a time, while the guest runs on others. An
// implementation guards what it shares with them. An error's text goes to the client as it is.
class VmService {
 public:
  virtual ~VmService() = default;

  [[nodiscard]] virtual VmInfo info() = 0;

  // Returns once no vCPU is inside the guest. Pausing a paused VM is no error. Errors: the VM has stopped.
  [[nodiscard]] virtual Status pause() = 0;

  // The inverse, on the same terms.
  [[nodiscard]] virtual Status resume() = 0;

  // Asks the VM to end and returns at once: whoever runs the VM destroys the server and then leaves. Idempotent.
  [[nodiscard]] virtual Status stop() = 0;

  // The two-dimensional walk in the form that vmm/memory/walk_view.h describes. A translation that ends in a fault is
  // a result, and so is a CR3 outside RAM. Errors: no such process, no such vCPU, or a vCPU that cannot be stopped.
  [[nodiscard]] virtual Result<nlohmann::json> walk(const WalkRequest& request) = 0;

  // The guest's processes: an array of objects with "pid", "name" and "cr3". Errors: the
  // guest is not one whose process table Twofold can read.
  [[nodiscard]] virtual Result<nlohmann::json> processes() = 0;

  // Errors: the VM has no balloon.
  [[nodiscard]] virtual Result<BalloonInfo> balloon() = 0;

  // Asks the guest to have so many bytes in its balloon; returns at once. REQUIRES: bytes <= most_bytes. Errors: as
  // above.
  [[nodiscard]] virtual Status set_balloon_target(uint64_t bytes) = 0;

  [[nodiscard]] virtual MemoryInfo memory() = 0;

  // Errors: the VM does not merge its pages.
  [[nodiscard]] virtual Result<MergingInfo> merging() = 0;
  // On, or off: then what is shared is given copies of its own. Returns at once. Errors: as above.
  [[nodiscard]] virtual Status set_merging(bool on) = 0;
};

// "created", "running", "paused", "stopped": the words of the API.
[[nodiscard]] const char* state_name(VmState state);

}  // namespace twofold
