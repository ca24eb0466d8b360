// Merging a guest's identical pages while it runs: the thread that drives the merge library (ksm/), and its pace.
//
// It works hard while that pays and idles when it does not: a pass that found next to nothing is followed by a pause,
// each time twice as long, up to ten seconds. Within that, two limits hold at any time: frames a second, and per cent
// of a processor.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "ksm/local_domain.h"
#include "ksm/scanner.h"
#include "vmm/base/result.h"
#include "vmm/memory/reclaim.h"

namespace twofold {

struct MergeConfig {
  uint64_t frames_per_second = 100'000;  // 0: no limit
  uint32_t cpu_per_cent = 50;            // of one processor, 1 to 100
  ksm::Order order = ksm::Order::kAscending;
  // A place in a share domain with others, for a memory of the guest's size; null: a domain of its own.
  std::shared_ptr<ksm::Membership> membership;
};

// Counts are since the start; bytes are bytes.
struct MergeStatus {
  bool on = false;
  bool own_domain = false;    // nobody else has a part in it
  uint64_t shared_bytes = 0;  // of the guest's frames, now
  uint64_t pool_bytes = 0;    // of the pages that stand for them; 0 where others may share them
  uint64_t areas = 0;         // of the process's address space that the guest's memory takes (VMAs)
  uint64_t slots_torn = 0;
  double cpu_seconds = 0;
  ksm::ScanStats scan;
  ksm::MergeStats merge;
};

// Thread safety: all of it. mutex_ guards what the thread and the callers share; the library's objects are the thread's
// own, but for the mapping, which has its lock.
class Merging {
 public:
  // Starts the thread. `reclaim` outlives this, and has its settler by now, if it is to have one. Errors: the host does
  // not let this process block writers, or has no memory for the pool.
  static Result<std::unique_ptr<Merging>> start(Reclaim& reclaim, MergeConfig config);
  ~Merging();
  Merging(const Merging&) = delete;
  Merging& operator=(const Merging&) = delete;

  // Off: what is shared becomes the guest's own again, as fast as it goes, and nothing is merged until it is on.
  // Returns at once; status() tells.
  void set_on(bool on);

  [[nodiscard]] MergeStatus status() const;

 private:
  Merging(Reclaim& reclaim, MergeConfig config, std::unique_ptr<ksm::LocalDomain> domain,
          std::shared_ptr<ksm::Membership> membership, ksm::PageScan scan);
  void serve();
  [[nodiscard]] std::chrono::duration<double> unshare_some();
  void publish();
  [[nodiscard]] bool wait(std::chrono::duration<double> time, bool on);
  [[nodiscard]] std::chrono::duration<double> pause_after(const ksm::Scanner::Step& step, double cpu_seconds);

  Reclaim& reclaim_;
  const MergeConfig config_;
  const std::unique_ptr<ksm::LocalDomain> domain_;  // null: another's
  const std::shared_ptr<ksm::Membership> membership_;
  ksm::Merger merger_;
  ksm::Scanner scanner_;
  uint64_t found_before_pass_ = 0;              // frames merged and dropped when the pass began
  std::chrono::duration<double> idle_pause_{};  // after the last pass
  uint64_t unshared_to_ = 0;                    // frame up to which unsharing has come

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool on_ = true;
  MergeStatus status_;
  std::thread thread_;
};

}  // namespace twofold
