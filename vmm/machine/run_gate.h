// The gate between a vCPU thread and KVM_RUN: where threads park for a pause and learn of the end.
//
// A vCPU thread calls pass() before each entry to the guest. Whoever pauses or stops closes the gate first and kicks
// afterwards, so a thread either sees the closed gate or is kicked out of KVM_RUN: none can slip by.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace twofold {

// Thread safety: every method is safe in any thread. mutex_ guards all but open_, which is its lock-free shadow.
class RunGate {
 public:
  // `threads`: how many will call pass(). `kick` makes every one of them leave the guest soon; it is called without
  // mutex_ held and must be safe in any thread. `on_all_left` is called once, by the last thread that leaves.
  RunGate(
      uint32_t threads, std::function<void()> kick, std::function<void()> on_all_left = [] {})
      : running_(threads), present_(threads), kick_(std::move(kick)), on_all_left_(std::move(on_all_left)) {}

  // For a vCPU thread: returns true at once while the gate is open, parks while it is paused, and returns false when
  // the machine stops; the thread then calls leave() and ends.
  bool pass();
  void leave();

  // Closes the gate and returns true when every thread has parked or left. Pauses nest: each that succeeded needs one
  // resume(). False, with the gate as it was, if a thread has not come by the time limit: one that waits for a reader
  // of the console cannot be kicked out of that.
  [[nodiscard]] bool pause(std::chrono::milliseconds limit = std::chrono::seconds(2));
  void resume();

  // Closes the gate for good. Does not wait.
  void stop();

  [[nodiscard]] bool paused() const;

 private:
  [[nodiscard]] bool is_open() const { return pauses_ == 0 && !stopped_; }

  void take_back_pause();  // REQUIRES mutex_

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint32_t running_;  // threads that have neither parked nor left
  uint32_t present_;  // threads that have not left
  uint32_t pauses_ = 0;
  bool stopped_ = false;
  // Written under mutex_ with release, read by pass() with acquire: what the closer wrote before it opened the gate
  // again (registers, say) is seen by the thread that passes.
  std::atomic<bool> open_{true};
  std::function<void()> kick_;
  std::function<void()> on_all_left_;
};

}  // namespace twofold
