#include "vmm/virtio/balloon.h"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/address.h"
#include "vmm/virtio/buffers.h"

namespace twofold {

namespace {

constexpr std::array<uint16_t, 4> kQueueSizes = {VirtioBalloon::kQueueSize, VirtioBalloon::kQueueSize,
                                                 VirtioBalloon::kQueueSize, VirtioBalloon::kQueueSize};
constexpr size_t kPfnsAtOnce = 1024;
constexpr size_t kMaxRequests = 32;  // of statistics or reports, that one call takes
// Newer than some machines' headers.
constexpr uint32_t kFeatureReporting = 5;
constexpr uint32_t kFeaturePoison = 4;

bool has(uint64_t features, uint32_t bit) {
  return (features >> bit & 1) != 0;
}

}  // namespace

VirtioBalloon::VirtioBalloon(Reclaim& reclaim, BalloonConfig config) : reclaim_(reclaim), options_(config) {
  frames_.reserve(kBatchFrames);
  runs_.reserve(kQueueSize);
  heads_.reserve(kQueueSize);
  touch();
}

uint32_t VirtioBalloon::device_id() const {
  return VIRTIO_ID_BALLOON;
}

uint64_t VirtioBalloon::features() const {
  return 1u << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1u << VIRTIO_BALLOON_F_STATS_VQ | 1u << kFeaturePoison |
         (options_.deflate_on_oom ? 1u << VIRTIO_BALLOON_F_DEFLATE_ON_OOM : 0) |
         (options_.free_page_reporting ? 1u << kFeatureReporting : 0);
}

std::span<const uint16_t> VirtioBalloon::queue_sizes() const {
  return std::span(kQueueSizes).first(options_.free_page_reporting ? 4 : 3);
}

void VirtioBalloon::read_config(uint64_t offset, std::span<std::byte> data) const {
  const auto config = std::as_bytes(std::span(&config_, 1));
  for (std::byte& byte : data) {
    byte = offset < config.size() ? config[offset] : std::byte{0xff};
    ++offset;
  }
}

// §5.5.4: `actual` and `poison_val` are the driver's.
void VirtioBalloon::write_config(uint64_t offset, std::span<const std::byte> data) {
  const auto writable = [](uint64_t at) {
    constexpr uint64_t kActual = offsetof(virtio_balloon_config, actual);
    constexpr uint64_t kPoison = offsetof(virtio_balloon_config, poison_val);
    return (at >= kActual && at < kActual + 4) || (at >= kPoison && at < kPoison + 4);
  };
  const auto config = std::as_writable_bytes(std::span(&config_, 1));
  const uint32_t before = config_.actual;
  for (const std::byte byte : data) {
    if (writable(offset)) config[offset] = byte;
    ++offset;
  }
  if (config_.actual != before) touch();
}

void VirtioBalloon::activate(uint64_t features) {
  features_ = features;
  roles_ = {Queue::kInflate, Queue::kDeflate};
  if (has(features, VIRTIO_BALLOON_F_STATS_VQ)) roles_.push_back(Queue::kStats);
  if (has(features, kFeatureReporting)) roles_.push_back(Queue::kReporting);
  status_.driver_ready = true;
}

// A driver that starts afresh has an empty balloon: whatever it had forgotten to take out is its own again.
void VirtioBalloon::reset() {
  features_ = 0;
  roles_.clear();
  stats_head_.reset();
  stats_wanted_ = false;
  config_.actual = 0;
  config_.poison_val = 0;
  status_.driver_ready = false;
  status_.stats.clear();
  status_.stats_time.reset();
  const FrameRun all{0, reclaim_.frame_count()};
  reclaim_.deflate(std::span(&all, 1));
}

std::optional<VirtioBalloon::Queue> VirtioBalloon::role(uint32_t index) const {
  return index < roles_.size() ? std::optional(roles_[index]) : std::nullopt;
}

bool VirtioBalloon::process_queue(uint32_t index, SplitQueue& queue) {
  const auto which = role(index);
  if (!which) return false;  // a queue that goes with no feature the driver took
  switch (*which) {
    case Queue::kInflate:
    case Queue::kDeflate:
      return process_frames(*which, queue);
    case Queue::kStats:
      return process_stats(queue);
    case Queue::kReporting:
      return process_reports(queue);
  }
  return false;
}

// Appends the frames that the request names to frames_. §5.5.6: le32, each an address divided by 4096.
void VirtioBalloon::collect_frames(std::span<const iovec> buffers) {
  std::array<uint32_t, kPfnsAtOnce> pfns;
  const uint64_t wanted = total_bytes(buffers) / sizeof(uint32_t);
  const uint64_t count = std::min<uint64_t>(wanted, kMaxRequestFrames);
  status_.bad_frames += wanted - count;
  for (uint64_t done = 0; done < count;) {
    const uint64_t piece = std::min<uint64_t>(count - done, pfns.size());
    copy_from(buffers, done * sizeof(uint32_t), std::as_writable_bytes(std::span(pfns).first(piece)));
    for (uint64_t i = 0; i < piece; ++i) {
      const auto frame = reclaim_.frame_of(Gpa{uint64_t{pfns[i]} << VIRTIO_BALLOON_PFN_SHIFT});
      if (frame) {
        frames_.push_back(*frame);
      } else {
        ++status_.bad_frames;
      }
    }
    done += piece;
  }
}

bool VirtioBalloon::process_frames(Queue which, SplitQueue& queue) {
  frames_.clear();
  heads_.clear();
  queue.suppress_notifications();
  // Both bounds count: a driver can send requests without end that name no frame.
  const auto is_full = [&] { return frames_.size() >= kBatchFrames || heads_.size() >= kQueueSize; };
  do {
    while (!is_full()) {
      const auto chain = queue.pop();
      if (!chain) break;
      collect_frames(chain->readable);
      heads_.push_back(chain->head);
    }
  } while (!is_full() && queue.allow_notifications());
  runs_.clear();
  append_runs(frames_, runs_);
  if (which == Queue::kInflate) {
    reclaim_.inflate(runs_);
    status_.inflate_requests += heads_.size();
  } else {
    reclaim_.deflate(runs_);
    status_.deflate_requests += heads_.size();
  }
  for (const uint16_t head : heads_) queue.push(head, 0);
  if (!heads_.empty()) touch();
  return is_full();
}

// §5.5.6.4: the driver's buffer stays here until the device wants fresh numbers; giving it back is how it asks.
bool VirtioBalloon::process_stats(SplitQueue& queue) {
  for (size_t i = 0; i < kMaxRequests; ++i) {
    const auto chain = queue.pop();
    if (!chain) break;
    status_.stats.parse(chain->readable);
    status_.stats_time = std::chrono::steady_clock::now();
    if (stats_head_) queue.push(*stats_head_, 0);  // a driver that sends two gets the first back
    stats_head_ = chain->head;
  }
  if (stats_wanted_ && stats_head_) {
    queue.push(*stats_head_, 0);
    stats_head_.reset();
    stats_wanted_ = false;
  }
  return queue.allow_notifications();
}

// §5.5.6.6: the buffers are the free pages themselves. Their content may be changed, unless the driver counts on
// finding its poison there, which a page of zeros is not.
bool VirtioBalloon::process_reports(SplitQueue& queue) {
  const bool keeps_poison = has(features_, kFeaturePoison) && config_.poison_val != 0;
  queue.suppress_notifications();
  heads_.clear();
  runs_.clear();
  do {
    while (heads_.size() < kMaxRequests) {
      const auto chain = queue.pop();
      if (!chain) break;
      for (const iovec& buffer : chain->writable) {
        runs_.push_back(reclaim_.whole_frames({static_cast<const std::byte*>(buffer.iov_base), buffer.iov_len}));
      }
      heads_.push_back(chain->head);
    }
  } while (heads_.size() < kMaxRequests && queue.allow_notifications());
  merge_runs(runs_);
  if (!keeps_poison) reclaim_.discard_free(runs_);
  status_.report_requests += heads_.size();
  for (const uint16_t head : heads_) queue.push(head, 0);
  return heads_.size() == kMaxRequests;
}

void VirtioBalloon::set_target(uint64_t bytes) {
  const uint64_t most = reclaim_.frame_count();
  const auto pages = static_cast<uint32_t>(std::min({bytes / kPageSize, most, uint64_t{UINT32_MAX}}));
  if (pages != config_.num_pages) touch();
  config_.num_pages = pages;
}

std::optional<uint32_t> VirtioBalloon::want_stats() {
  const auto found = std::ranges::find(roles_, Queue::kStats);
  if (found == roles_.end()) return std::nullopt;
  stats_wanted_ = true;
  return static_cast<uint32_t>(found - roles_.begin());
}

BalloonStatus VirtioBalloon::status() const {
  BalloonStatus status = status_;
  status.target_bytes = uint64_t{config_.num_pages} * kPageSize;
  status.actual_bytes = uint64_t{config_.actual} * kPageSize;
  return status;
}

}  // namespace twofold
