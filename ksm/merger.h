// Merging frames with pages of the pool, without ever showing anybody a wrong byte:
//
//   block writers ─▶ compare all 4096 bytes ─▶ map the pool's page over it, copy-on-write ─▶ let writers go
//
// Nobody writes between the comparison and the mapping, and readers find the same bytes before and after. A write that
// was blocked is done again on the new mapping, where the kernel copies the page first.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ksm/frames.h"
#include "ksm/mapping.h"
#include "ksm/membership.h"

namespace ksm {

// How long writers were kept waiting at most, by powers of two of a microsecond: bucket b counts waits below 2^b µs.
using WaitHistogram = std::array<uint64_t, 20>;

struct MergeStats {
  uint64_t merged = 0;       // frames
  uint64_t zeros = 0;        // frames that were dropped
  uint64_t mismatched = 0;   // frames that no longer had the content
  uint64_t refused = 0;      // frames that the kernel, or the budget for areas of address space, did not let us merge
  uint64_t merge_calls = 0;  // runs mapped
  WaitHistogram waits = {};
  uint64_t wait_nanoseconds = 0;  // all of them together
};

// What a process may have of vm.max_map_count, in areas. At the limit every mmap of the process fails, also those of
// its threads and libraries: so headroom is kept, and lone pages, which are the dearest, stop first.
struct AreaBudget {
  uint64_t lone = 0;  // up to here for runs of one page
  uint64_t runs = 0;  // up to here for longer ones
  // Three quarters and nine tenths of the kernel's limit.
  static AreaBudget of_this_process();
};

// For tests: what a merge must not do without.
enum class WriteProtection : uint8_t { kOn, kLeftOut };

// For one thread.
class Merger {
 public:
  static constexpr uint64_t kSpan = 64;  // adjacent frames that are blocked together, at most

  // Both outlive it. REQUIRES: merging has started on the mapping
  Merger(Mapping& mapping, Membership& membership, AreaBudget budget, WriteProtection protection = WriteProtection::kOn)
      : mapping_(mapping), membership_(membership), budget_(budget), protection_(protection) {}

  // Merges what can be merged; sorts `proposals`. The references that came with them belong to the mapping then, or are
  // appended to `unused`; frames that were not merged, and may be asked about again, to `left`.
  void merge(std::vector<Proposal>& proposals, std::vector<Slot>& unused, std::vector<uint64_t>& left);

  [[nodiscard]] const MergeStats& stats() const { return stats_; }

 private:
  void merge_span(const Proposal* first, const Proposal* last, std::vector<Slot>& unused, std::vector<uint64_t>& left);
  [[nodiscard]] bool still_equal(const Proposal& proposal) const;
  [[nodiscard]] bool replace(const Proposal* first, uint64_t count);
  [[nodiscard]] bool within_budget(uint64_t run) const;
  static void leave(const Proposal& proposal, std::vector<Slot>& unused, std::vector<uint64_t>& left);
  void note_wait(uint64_t nanoseconds);

  Mapping& mapping_;
  Membership& membership_;
  const AreaBudget budget_;
  const WriteProtection protection_;
  MergeStats stats_;
};

}  // namespace ksm
