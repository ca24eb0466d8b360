// A request of the balloon's inflate and deflate queues: page frame numbers, packed as the device reads them.
//
// virtio 1.2 §5.5.6: an array of le32, each a guest-physical address divided by 4096. Freestanding: no library behind
// it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace balloon {

// Linux sends no more than this at once, and devices are tuned to it.
constexpr size_t kMaxPfnsPerRequest = 256;

// Collects frame numbers until a request is full. Not safe in several threads at once.
class PfnBatch {
 public:
  // Takes one frame number. False, with nothing taken, if the batch is full.
  [[nodiscard]] bool add(uint32_t pfn);

  [[nodiscard]] bool full() const { return count_ == kMaxPfnsPerRequest; }
  [[nodiscard]] size_t count() const { return count_; }

  // REQUIRES: index < count()
  [[nodiscard]] uint32_t at(size_t index) const;

  // The bytes to hand to the device: bytes() of them from data(), little endian. Valid until the next add() or clear().
  [[nodiscard]] const uint8_t* data() const { return bytes_; }
  [[nodiscard]] size_t bytes() const { return count_ * sizeof(uint32_t); }

  void clear() { count_ = 0; }

 private:
  uint8_t bytes_[kMaxPfnsPerRequest * sizeof(uint32_t)] = {};
  size_t count_ = 0;
};

}  // namespace balloon
