// A split virtqueue as its driver sees it: virtio 1.2, 2.7. All of it lies in one page.
//
// Thread safety: the big kernel lock; the device works on it at the same time (see publish and take_used).
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

class Virtqueue {
 public:
  static constexpr uint32_t kMaxSize = 128;

  // One buffer of a chain.
  struct Buffer {
    PhysAddr address;
    uint32_t length;     // bytes
    bool device_writes;  // else it reads
  };

  // False when memory is full. REQUIRES: size is a power of two, at most kMaxSize
  [[nodiscard]] bool init(uint32_t size);

  [[nodiscard]] uint32_t size() const { return size_; }
  [[nodiscard]] uint32_t free_descriptors() const { return free_count_; }

  // Where the device finds the three parts: guest-physical.
  [[nodiscard]] PhysAddr descriptors() const;
  [[nodiscard]] PhysAddr available() const;
  [[nodiscard]] PhysAddr used() const;

  // Adds a chain, which the device sees at the next publish(). `token` comes back with its end. REQUIRES: as many free
  // descriptors
  void add(const Buffer* buffers, uint32_t count, void* token);

  // Shows the device all chains that were added. True if it wants to be notified.
  [[nodiscard]] bool publish();

  // The token of a chain that the device is done with; null if there is none.
  void* take_used();

 private:
  // 2.7.5, 2.7.6, 2.7.8
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };
  struct Available {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[kMaxSize];
  };
  struct UsedElement {
    uint32_t id;
    uint32_t length;
  };
  struct Used {
    uint16_t flags;
    uint16_t index;
    UsedElement ring[kMaxSize];
  };
  struct Rings {
    Descriptor descriptors[kMaxSize];
    Available available;
    alignas(4) Used used;
  };
  static_assert(sizeof(Rings) <= kPageSize);

  Rings* rings_ = nullptr;
  uint32_t size_ = 0;
  uint32_t free_count_ = 0;
  uint16_t free_head_ = 0;
  uint16_t available_index_ = 0;
  uint16_t used_index_ = 0;      // how far take_used has come
  void* tokens_[kMaxSize] = {};  // by head of chain; null: not the device's
};

}  // namespace twofold::kernel
