// How many neighbouring slots to read along with one that is needed: more while those read before were needed too.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

namespace twofold::kernel {

class ReadAhead {
 public:
  static constexpr uint32_t kMaxWindow = 8;

  // The window, in slots, for a read of `slot`: a power of two. 1 reads nothing ahead.
  uint32_t window(uint32_t slot) {
    // With a window of 1 there is nothing to learn from; a read next to the last one is reason to try again.
    if (window_ == 1 && quiet_ == 0 && slot == last_slot_ + 1) window_ = 2;
    last_slot_ = slot;
    if (quiet_ > 0) {
      --quiet_;
      return 1;
    }
    return window_;
  }

  // What has become of a page that was read ahead.
  void learn(bool needed) {
    ++(needed ? hits_ : misses_);
    if (hits_ + misses_ < kMaxWindow) return;
    if (hits_ > misses_ && window_ < kMaxWindow) window_ *= 2;
    if (hits_ * 4 <= misses_ && window_ > 1) window_ /= 2;
    hits_ = misses_ = 0;
  }

  // A read of several slots has failed: the next ones go alone, to find out which slot it is.
  void suspend() { quiet_ = kQuietReads; }

 private:
  static constexpr uint32_t kQuietReads = 64;

  uint32_t window_ = kMaxWindow;
  uint32_t last_slot_ = 0;
  uint32_t hits_ = 0;
  uint32_t misses_ = 0;
  uint32_t quiet_ = 0;
};

}  // namespace twofold::kernel
