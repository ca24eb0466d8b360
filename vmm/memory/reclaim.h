// The one door through which guest memory is given up and taken back.
//
// Nothing else calls madvise, mmap or fallocate on guest RAM: whoever gives memory up must know what stands behind it.
// How the host maps it is ksm::Mapping's; what the guest has given is known here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ksm/mapping.h"
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

// Thread safety: all of it; the mapping's lock guards the states. Nothing throws once it is created.
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

  // Splitting huge pages of which a part was given up waits for a pause: see ksm::Mapping::set_settler.
  // REQUIRES: nobody uses the object meanwhile
  void set_settler(std::function<void()> soon) { mapping_.set_settler(std::move(soon)); }
  void settle();

  // For whoever merges.
  [[nodiscard]] ksm::Mapping& mapping() { return mapping_; }

  [[nodiscard]] FrameState state(uint64_t frame) const;
  [[nodiscard]] ReclaimStats stats() const;

 private:
  [[nodiscard]] FrameRun cut(FrameRun run) const;

  const GuestMemory& memory_;
  const uint64_t frame_count_;
  ksm::Mapping mapping_;
  std::vector<bool> ballooned_;  // by frame
  ReclaimStats stats_;
};

}  // namespace twofold
