// The one door through which guest memory is given up and taken back.
//
// Nothing else calls madvise, mmap or fallocate on guest RAM: whoever gives memory up must know what stands behind it,
// and that knowledge is here, a state for each frame.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "vmm/memory/guest_memory.h"
#include "vmm/memory/page_ranges.h"

namespace twofold {

enum class FrameState : uint8_t {
  kOwn,        // the guest's to use: untouched, or private to it
  kBallooned,  // in the guest's balloon: given up, until the balloon gives it back
};

// Since creation, in bytes unless a name says otherwise.
struct ReclaimStats {
  uint64_t ballooned_bytes = 0;  // now
  uint64_t inflated_bytes = 0;   // given up for a balloon, ever
  uint64_t deflated_bytes = 0;   // taken back from it, ever
  uint64_t reported_bytes = 0;   // given up because the guest reported it as free, ever
  uint64_t discard_calls = 0;    // system calls that gave memory up
  uint64_t split_calls = 0;      // system calls that split huge pages of which a part was given up
  uint64_t failed_bytes = 0;     // that the kernel did not take
};

// Thread safety: all of it; mutex_ guards the states. Nothing throws once it is created. An area is 2 MiB of the
// mapping as the host's huge pages lie: by address, not by offset.
class Reclaim {
 public:
  // `memory` outlives it.
  explicit Reclaim(const GuestMemory& memory);

  // Frames of the mapping in all.
  [[nodiscard]] uint64_t frame_count() const { return frame_count_; }

  // The frame that holds the guest-physical address; nothing if that is no RAM.
  [[nodiscard]] std::optional<uint64_t> frame_of(Gpa gpa) const;
  // The whole frames among the bytes at `buffer`, which lies in guest RAM: what a driver described by address and
  // length.
  [[nodiscard]] FrameRun whole_frames(std::span<const std::byte> buffer) const;

  // The guest has put these frames into its balloon / takes them out again. Their memory goes back to the host; at the
  // next touch the guest finds zeros. Runs beyond the mapping are cut. REQUIRES: each run's end does not overflow
  void inflate(std::span<const FrameRun> runs);
  void deflate(std::span<const FrameRun> runs);

  // The guest does not use these frames just now, and does not care what is in them. As inflate, but it may use them
  // again without a word.
  void discard_free(std::span<const FrameRun> runs);

  // A huge page of which a part was given up keeps all of its memory until it is split; one that is given up piece by
  // piece need not be. So splitting waits for a pause: `soon` is called when there is something to split and nothing
  // was before, and whoever set it calls settle() a little later. Without one, pages are split at once.
  // `soon` runs with the lock held and must not call back. REQUIRES: nobody uses the object meanwhile
  void set_settler(std::function<void()> soon) { soon_ = std::move(soon); }
  void settle();

  [[nodiscard]] FrameState state(uint64_t frame) const;
  [[nodiscard]] ReclaimStats stats() const;

 private:
  // The rest REQUIRE mutex_.
  uint64_t discard(FrameRun run);
  void note_cut(uint64_t address);
  void settle_or_arrange();
  void split_cut_pages();
  [[nodiscard]] uint64_t area_of(uint64_t address) const;
  [[nodiscard]] FrameRun cut(FrameRun run) const;

  const GuestMemory& memory_;
  const uint64_t frame_count_;
  mutable std::mutex mutex_;
  std::vector<bool> ballooned_;  // by frame
  std::vector<bool> split_;      // by area: no huge page stands there any more, or it is in cut_
  std::vector<uint64_t> cut_;    // areas in which a huge page may be that lacks a part; each once
  std::function<void()> soon_;
  bool arranged_ = false;  // soon_ was called, and settle() not since
  ReclaimStats stats_;
};

}  // namespace twofold
