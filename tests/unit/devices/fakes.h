// What a device under test talks to: an interrupt line that counts, a console that remembers.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

#include "vmm/devices/bus.h"
#include "vmm/devices/console_sink.h"

namespace twofold::testing {

class CountingInterrupt final : public Interrupt {
 public:
  void trigger() override { ++edges_; }
  // Edges since the last call.
  int take() { return edges_.exchange(0); }

 private:
  std::atomic<int> edges_{0};
};

class StringSink final : public ConsoleSink {
 public:
  void write(std::span<const char> bytes) override {
    const std::lock_guard lock(mutex_);
    text_.append(bytes.data(), bytes.size());
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;  // guarded by mutex_
};

inline uint8_t in8(BusDevice& device, uint64_t offset) {
  std::byte value{};
  device.read(offset, {&value, 1});
  return std::to_integer<uint8_t>(value);
}

inline void out8(BusDevice& device, uint64_t offset, uint8_t value) {
  const std::byte byte{value};
  device.write(offset, {&byte, 1});
}

}  // namespace twofold::testing
