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
  const std::lock_guard lock(mutex_);
  --running_;
  changed_.notify_all();
}

void RunGate::pause() {
  {
    const std::lock_guard lock(mutex_);
    ++pauses_;
    open_.store(false, std::memory_order_release);
  }
  kick_();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return running_ == 0; });
}

void RunGate::resume() {
  const std::lock_guard lock(mutex_);
  if (pauses_ > 0) --pauses_;
  open_.store(is_open(), std::memory_order_release);
  changed_.notify_all();
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
