// One memory as the host maps it, and the one place that changes how: pages given up, pages shared copy-on-write, huge
// pages split.
//
//   anonymous ──share──▶ a pool page, private ──a write──▶ broken: an anonymous copy, made by the kernel
//       ▲                        │                              │
//       └───────discard──────────┴──────────────────────────────┘        (zeros at the next touch)
//
// A mapping of the pool stays one when its copy is broken: madvise(MADV_DONTNEED) there would show the pool's page
// again, not zeros. So discarding maps fresh anonymous memory over it, and only then may the slot be given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ksm/frames.h"
#include "ksm/write_guard.h"

namespace ksm {

// Since creation.
struct MappingStats {
  uint64_t discard_calls = 0;  // system calls that gave memory up
  uint64_t split_calls = 0;    // system calls that split huge pages of which a part was given up
  uint64_t failed_bytes = 0;   // that the kernel did not take
  uint64_t areas = 1;          // of address space that the memory takes now (VMAs), as far as this knows
  uint64_t held_frames = 0;    // that hold a reference to a slot now
};

// Thread safety: every call REQUIRES mutex(), but for the constants. Nothing throws once merging has started. One
// merger a mapping: that a frame was seen to be broken stays true only because nobody else can have shared it anew. An
// area of huge pages is 2 MiB of the memory as the host's huge pages lie: by address, not by frame.
class Mapping {
 public:
  // `memory`: private anonymous memory, aligned to pages, which outlives this.
  Mapping(std::byte* memory, uint64_t frames);

  [[nodiscard]] std::byte* memory() const { return memory_; }
  [[nodiscard]] std::byte* at(uint64_t frame) const;
  [[nodiscard]] uint64_t frames() const { return frames_; }
  [[nodiscard]] std::mutex& mutex() const { return mutex_; }
  [[nodiscard]] const MappingStats& stats() const { return stats_; }

  // The frames' memory goes back to the host; at the next touch they show zeros. Returns the bytes that did.
  // REQUIRES: within the memory
  uint64_t discard(Run run);

  // A huge page of which a part was given up keeps all of its memory until it is split; one that is given up piece by
  // piece need not be. So splitting waits for a pause: `soon` is called when there is something to split and nothing
  // was before, and whoever set it calls settle() a little later. Without one, pages are split before the next unlock
  // by whoever calls settle_or_arrange(). `soon` must not call back.
  void set_settler(std::function<void()> soon) { soon_ = std::move(soon); }
  void settle_or_arrange();
  void settle();

  // --- Merging

  // Errors, as a sentence. Once.
  [[nodiscard]] bool start_merging(std::string* error);
  [[nodiscard]] const WriteGuard& guard() const { return *guard_; }

  // Whether a slot's page is mapped there, shared or since broken.
  [[nodiscard]] bool shows_pool(uint64_t frame) const { return !is_anonymous(frame); }

  // Maps the pool's slots from `first` on over the frames. False, with nothing changed, if the kernel refuses. The
  // references to the slots are this memory's now; those to slots that stood there before are dropped.
  // REQUIRES: writers are blocked, and the contents are equal
  [[nodiscard]] bool share(Run run, int pool, Slot first);

  // The slot to which the frame's reference is held: of a shared frame, or of a broken one that nobody has told yet.
  [[nodiscard]] Slot held_slot(uint64_t frame) const;
  // The frame was seen to be broken: its reference is dropped. It can never show the slot again (see above).
  void drop_broken(uint64_t frame);
  // Slots whose references were dropped since the last call; the caller gives them back to the pool.
  void take_dropped(std::vector<Slot>& slots);

  // Each frame that shows the pool gets a copy of its own, and its reference is dropped. As far as there is memory for
  // it; false if some could not be copied. (The mappings stay the pool's: their number does not go down.)
  [[nodiscard]] bool unshare(Run run);

 private:
  [[nodiscard]] bool is_anonymous(uint64_t frame) const { return slots_.empty() || slots_[frame] == kNoSlot; }
  [[nodiscard]] uint64_t same_kind_from(uint64_t frame, uint64_t end) const;
  uint64_t discard_anonymous(Run run);
  uint64_t discard_shared(Run run);
  [[nodiscard]] bool joins(uint64_t frame) const;
  [[nodiscard]] uint64_t boundaries(Run run) const;
  void set_slots(Run run, Slot first);
  void note_cuts(Run run);
  void forbid_new_huge_pages();
  void note_cut(uint64_t frame);
  void split_cut_pages();
  [[nodiscard]] uint64_t area_of(uint64_t address) const;

  std::byte* const memory_;
  const uint64_t frames_;
  mutable std::mutex mutex_;
  MappingStats stats_;

  std::vector<bool> split_;    // by area: no huge page stands there any more
  std::vector<uint64_t> cut_;  // frames beside what was given up, in areas not split yet; bounded
  std::function<void()> soon_;
  bool arranged_ = false;  // soon_ was called, and settle() not since
  bool no_new_huge_ = false;

  std::optional<WriteGuard> guard_;
  std::vector<Slot> slots_;  // by frame: what its mapping is of; kNoSlot: anonymous. Empty until merging starts
  std::vector<bool> held_;   // by frame: the reference to that slot is held
  std::vector<Slot> dropped_;
};

}  // namespace ksm
