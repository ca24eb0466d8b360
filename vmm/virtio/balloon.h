// virtio-balloon (virtio 1.2 §5.5): the guest decides which pages to give, the host how many.
#pragma once

#include <linux/virtio_balloon.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/memory/page_ranges.h"
#include "vmm/memory/reclaim.h"
#include "vmm/virtio/balloon_stats.h"
#include "vmm/virtio/device.h"

namespace twofold {

struct BalloonConfig {
  bool deflate_on_oom = true;       // the guest may take pages back by itself before it kills for want of memory
  bool free_page_reporting = true;  // the guest tells of free pages, and they are given up
};

// What the balloon holds and does, as the API tells it.
struct BalloonStatus {
  uint64_t target_bytes = 0;
  uint64_t actual_bytes = 0;                            // by the driver's word
  bool driver_ready = false;                            // a driver has taken the device
  std::chrono::steady_clock::time_point last_progress;  // when `actual` or the target last changed
  BalloonStats stats;
  std::optional<std::chrono::steady_clock::time_point> stats_time;  // when the driver last sent some
  uint64_t inflate_requests = 0;
  uint64_t deflate_requests = 0;
  uint64_t report_requests = 0;
  uint64_t bad_frames = 0;  // frame numbers that name no RAM
};

// Queues: inflate, deflate, and then statistics and reporting, each only if the driver takes its feature, numbered
// without gaps as Linux has it. An inflate request reads: pop, check, collect, sort into runs, give up, and answer all
// that were collected at once. One call collects at most kBatchFrames: a driver cannot keep the I/O thread from its
// other work.
//
// Free page hinting is not offered: it serves migration, and there is none.
class VirtioBalloon final : public VirtioDevice {
 public:
  static constexpr uint16_t kQueueSize = 128;
  static constexpr size_t kBatchFrames = 16 * 1024;          // 64 MiB
  static constexpr size_t kMaxRequestFrames = kBatchFrames;  // the rest of a longer request is ignored, and counted

  // `reclaim` outlives the device.
  VirtioBalloon(Reclaim& reclaim, BalloonConfig config);

  [[nodiscard]] std::string_view name() const override { return "balloon"; }
  [[nodiscard]] uint32_t device_id() const override;
  [[nodiscard]] uint64_t features() const override;
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t offset, std::span<const std::byte> data) override;
  void activate(uint64_t features) override;
  void reset() override;
  [[nodiscard]] bool process_queue(uint32_t index, SplitQueue& queue) override;

  // The next three are called with the transport's lock held, as all above: MmioTransport::update_config() or
  // with_lock(). Asks the driver for so many bytes, whole pages.
  void set_target(uint64_t bytes);
  // Asks the driver for fresh statistics, the next time that the statistics queue is processed: call
  // MmioTransport::notify() with the index that this returns; nothing if the driver does not send any.
  std::optional<uint32_t> want_stats();
  [[nodiscard]] BalloonStatus status() const;

 private:
  enum class Queue : uint8_t { kInflate, kDeflate, kStats, kReporting };

  [[nodiscard]] std::optional<Queue> role(uint32_t index) const;
  bool process_frames(Queue which, SplitQueue& queue);
  bool process_stats(SplitQueue& queue);
  bool process_reports(SplitQueue& queue);
  void collect_frames(std::span<const iovec> buffers);
  void touch() { status_.last_progress = std::chrono::steady_clock::now(); }

  Reclaim& reclaim_;
  const BalloonConfig options_;

  // All below is guarded by the transport's lock.
  virtio_balloon_config config_{};
  uint64_t features_ = 0;               // that the driver took
  std::vector<Queue> roles_;            // by index
  std::optional<uint16_t> stats_head_;  // the driver's statistics buffer, kept until fresh ones are wanted
  bool stats_wanted_ = false;
  BalloonStatus status_;
  std::vector<uint64_t> frames_;  // of the requests in hand; likewise the next two
  std::vector<FrameRun> runs_;
  std::vector<uint16_t> heads_;
};

}  // namespace twofold
