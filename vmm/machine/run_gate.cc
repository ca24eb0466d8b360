#include "vmm/machine/run_gate.h"

namespace twofold {

bool RunGate::pass() {
  if (open_.load(std::memory_order_acquire)) return true;
  std::unique_lock lock(mutex_);
  if (pauses_ > 0 && !stopped_) {
    --running_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open() || stopped_; });
    ++running_;
  }
  return !stopped_;
}

void RunGate::leave() {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    --running_;
    last = --present_ == 0;
    changed_.notify_all();
  }
  if (last) on_all_left_();
}

bool RunGate::pause(std::chrono::milliseconds limit) {
  {
    const std::lock_guard lock(mutex_);
    ++pauses_;
    open_.store(false, std::memory_order_release);
  }
  kick_();
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, limit, [this] { return running_ == 0; })) return true;
  take_back_pause();
  return false;
}

void RunGate::take_back_pause() {
  if (pauses_ > 0) --pauses_;
  open_.store(is_open(), std::memory_order_release);
  changed_.notify_all();
}

void RunGate::resume() {
  const std::lock_guard lock(mutex_);
  take_back_pause();
}

void RunGate::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    open_.store(false, std::memory_order_release);
    changed_.notify_all();
  }
  kick_();
}

bool RunGate::paused() const {
  const std::lock_guard lock(mutex_);
  return pauses_ > 0;
}

}  // namespace twofold
