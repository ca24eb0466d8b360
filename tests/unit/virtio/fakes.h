// What a transport under test talks to.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "vmm/virtio/device.h"

namespace twofold::testing {

class CountingInterrupt final : public Interrupt {
 public:
  void trigger() override { ++edges_; }
  // Edges since the last call.
  int take() { return edges_.exchange(0); }

 private:
  std::atomic<int> edges_{0};
};

// Two queues, eight bytes of config space, one feature (bit 3); returns every chain with the length of its writable
// part.
class EchoDevice final : public VirtioDevice {
 public:
  static constexpr uint64_t kFeature = 1u << 3;

  [[nodiscard]] std::string_view name() const override { return "echo"; }
  [[nodiscard]] uint32_t device_id() const override { return 42; }
  [[nodiscard]] uint64_t features() const override { return kFeature; }
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override { return kSizes; }
  void read_config(uint64_t offset, std::span<std::byte> data) const override {
    for (std::byte& byte : data) {
      byte = offset < config_.size() ? config_[offset] : std::byte{0xff};
      ++offset;
    }
  }
  void write_config(uint64_t offset, std::span<const std::byte> data) override {
    for (const std::byte byte : data) {
      if (offset < config_.size()) config_[offset] = byte;
      ++offset;
    }
  }
  void activate(uint64_t features) override { activated_.push_back(features); }
  void reset() override { ++resets_; }
  [[nodiscard]] bool process_queue(uint32_t index, SplitQueue& queue) override {
    processed_.push_back(index);
    queue.suppress_notifications();
    size_t taken = 0;
    do {
      while (taken < batch_) {
        const auto chain = queue.pop();
        if (!chain) break;
        uint32_t written = 0;
        for (const iovec& buffer : chain->writable) written += static_cast<uint32_t>(buffer.iov_len);
        queue.push(chain->head, written);
        ++taken;
      }
    } while (taken < batch_ && queue.allow_notifications());
    return taken == batch_;
  }

  size_t batch_ = 1000;  // chains that one call takes
  std::array<std::byte, 8> config_{};
  std::vector<uint64_t> activated_;
  std::vector<uint32_t> processed_;
  int resets_ = 0;

 private:
  static constexpr std::array<uint16_t, 2> kSizes = {16, 4};
};

}  // namespace twofold::testing
