#include "vmm/machine/merging.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <system_error>

namespace twofold {

namespace {

using Seconds = std::chrono::duration<double>;

constexpr uint64_t kStepFrames = 2048;
constexpr Seconds kFirstPause{0.25};
constexpr Seconds kLongestPause{10};
constexpr uint64_t kWorthwhile = 500;     // a pass pays if it found one frame in so many
constexpr uint64_t kUnshareFrames = 256;  // at a time, with the mapping locked

double thread_cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

Result<std::unique_ptr<Merging>> Merging::start(Reclaim& reclaim, MergeConfig config) {
  std::string error;
  auto scan = ksm::PageScan::open(&error);
  if (!scan) return fail_host("cannot merge the guest's pages: {}", error);
  std::unique_ptr<ksm::LocalDomain> domain;
  std::shared_ptr<ksm::Membership> membership = std::move(config.membership);
  if (!membership) {
    // Twice the guest's frames: then adjacent frames find adjacent slots, and a slot that is free is never far.
    const uint64_t slots = std::min<uint64_t>(2 * reclaim.frame_count(), ksm::kZeroPage - 1);
    domain = ksm::LocalDomain::create(static_cast<uint32_t>(slots), &error);
    if (!domain) return fail_host("cannot merge the guest's pages: {}", error);
    membership = domain->join();
  }
  {
    const std::lock_guard lock(reclaim.mapping().mutex());
    if (!reclaim.mapping().start_merging(&error)) return fail_host("cannot merge the guest's pages: {}", error);
  }
  std::unique_ptr<Merging> merging(
      new Merging(reclaim, config, std::move(domain), std::move(membership), std::move(*scan)));
  // The thread inherits the mask: no signal of the process is ever handled on it.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::error_code refused;
  try {
    merging->thread_ = std::thread([it = merging.get()] { it->serve(); });
  } catch (const std::system_error& system_error) {
    refused = system_error.code();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (refused) return fail_host("cannot start the thread that merges: {}", refused.message());
  return merging;
}

Merging::Merging(Reclaim& reclaim, MergeConfig config, std::unique_ptr<ksm::LocalDomain> domain,
                 std::shared_ptr<ksm::Membership> membership, ksm::PageScan scan)
    : reclaim_(reclaim),
      config_(std::move(config)),
      domain_(std::move(domain)),
      membership_(std::move(membership)),
      merger_(reclaim.mapping(), *membership_, ksm::AreaBudget::of_this_process()),
      scanner_(reclaim.mapping(), *membership_, merger_, std::move(scan), {.order = config.order}) {
  status_.on = true;
  status_.own_domain = domain_ != nullptr;
}

Merging::~Merging() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Merging::set_on(bool on) {
  {
    const std::lock_guard lock(mutex_);
    on_ = on;
    status_.on = on;
  }
  changed_.notify_all();
}

MergeStatus Merging::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

// False when it is time to end. Returns early when something else is wanted than `on`.
bool Merging::wait(Seconds time, bool on) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [&] { return stop_ || on_ != on; });
  return !stop_;
}

void Merging::serve() {
  ::pthread_setname_np(::pthread_self(), "merge");
  bool was_on = true;
  for (bool go_on = true; go_on;) {
    bool on = false;
    {
      const std::lock_guard lock(mutex_);
      on = on_;
    }
    Seconds pause(0);
    if (on) {
      if (!was_on) scanner_.ask_again();
      const double begin = thread_cpu_seconds();
      const auto step = scanner_.step(kStepFrames);
      pause = pause_after(step, thread_cpu_seconds() - begin);
    } else {
      if (was_on) unshared_to_ = 0;
      pause = unshare_some();
    }
    was_on = on;
    publish();
    go_on = wait(pause, on);
  }
}

// What the limits ask for after a step that took so much of a processor; and after a pass, what it found.
Seconds Merging::pause_after(const ksm::Scanner::Step& step, double cpu_seconds) {
  Seconds pause(cpu_seconds * (100.0 / config_.cpu_per_cent - 1));
  if (config_.frames_per_second > 0) {
    const double due = static_cast<double>(step.frames) / static_cast<double>(config_.frames_per_second);
    pause = std::max(pause, Seconds(due - cpu_seconds));
  }
  if (!step.pass_ended) return pause;
  const uint64_t found = merger_.stats().merged + merger_.stats().zeros;
  const bool pays = (found - found_before_pass_) * kWorthwhile > reclaim_.frame_count();
  found_before_pass_ = found;
  idle_pause_ = pays ? Seconds(0) : std::clamp(2 * idle_pause_, kFirstPause, kLongestPause);
  return std::max(pause, idle_pause_);
}

// Returns how long to wait before the next piece. At the end it begins again for as long as anything is shared: there
// may not have been memory for all.
Seconds Merging::unshare_some() {
  if (unshared_to_ >= reclaim_.frame_count()) {
    {
      const std::lock_guard lock(reclaim_.mapping().mutex());
      if (reclaim_.mapping().stats().held_frames == 0) return kLongestPause;
    }
    unshared_to_ = 0;
  }
  const FrameRun run{unshared_to_, std::min(kUnshareFrames, reclaim_.frame_count() - unshared_to_)};
  unshared_to_ = run.end();
  std::vector<ksm::Slot> slots;
  {
    const std::lock_guard lock(reclaim_.mapping().mutex());
    (void)reclaim_.mapping().unshare(run);
    reclaim_.mapping().take_dropped(slots);
  }
  membership_->give_back(slots);
  return unshared_to_ < reclaim_.frame_count() ? Seconds(0) : kFirstPause;
}

void Merging::publish() {
  const ksm::DomainStats domain = domain_ ? domain_->stats() : ksm::DomainStats{};
  ksm::MappingStats mapping;
  {
    const std::lock_guard lock(reclaim_.mapping().mutex());
    mapping = reclaim_.mapping().stats();
  }
  const std::lock_guard lock(mutex_);
  status_.shared_bytes = mapping.held_frames * kPageSize;
  status_.pool_bytes = domain.slots_filled * kPageSize;
  status_.areas = mapping.areas;
  status_.slots_torn = domain.torn;
  status_.cpu_seconds = thread_cpu_seconds();
  status_.scan = scanner_.stats();
  status_.merge = merger_.stats();
}

}  // namespace twofold
