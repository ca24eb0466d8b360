// A process's user half: its page directory and what may be where in it.
//
// Pages come into being when they are first touched (demand zero), and are shared copy-on-write after fork. Both
// happen in fault(), which the page-fault handler and the kernel's own access to user memory (UserBuffer) go
// through alike: the kernel never touches a user address itself, it resolves it to the direct map first.
//
// Thread safety: the big kernel lock. A space is loaded on one processor at a time, so no other TLB holds its pages.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"
#include "guest/kernel/paging.h"

namespace twofold::kernel {

enum class Access { kRead, kWrite };

enum class FaultResult {
  kServed,
  kUnmapped,   // nothing may be at this address
  kProtected,  // the kernel's, or a write to what is read-only
  kNoMemory,
};

class AddressSpace {
 public:
  struct Segment {
    UserAddr start;  // page-aligned
    UserAddr end;    // page-aligned, exclusive
    bool writable;
  };
  static constexpr uint32_t kMaxSegments = 8;

  // An empty user half under a new page directory; false when memory is full.
  [[nodiscard]] bool create();

  // A copy of `parent`, all writable pages shared copy-on-write from now on; false, and empty, when memory is full.
  [[nodiscard]] bool create_copy_of(AddressSpace& parent);

  // Gives everything back. Loads the kernel's own page directory first if this one is loaded.
  void destroy();

  [[nodiscard]] bool exists() const { return directory_ != nullptr; }
  [[nodiscard]] PhysAddr cr3() const { return exists() ? to_physical(directory_) : 0; }
  [[nodiscard]] uint32_t resident_pages() const { return resident_; }
  void load() const;

  // Declares [start, end) part of the program. The heap starts after the last segment. false: there are too many.
  // All segments come before the first page: a page that segments share is mapped once, with the rights of all.
  // REQUIRES: no page is present; page-aligned; kUserTextBase <= start < end <= kStackBottom
  [[nodiscard]] bool add_segment(UserAddr start, UserAddr end, bool writable);

  // Moves the break by `delta` bytes and gives the old one; false, and no change, if that leaves the heap's range.
  [[nodiscard]] bool move_break(int32_t delta, UserAddr* old_break);

  // Makes the page at `address` present, and writable for a write, if the program may do that. Counts the fault.
  FaultResult fault(UserAddr address, Access access);

  // fault(), unless not needed, then the byte's address in the direct map. Good until the process next sleeps.
  FaultResult resolve(UserAddr address, Access access, uint8_t** pointer);

  // Like resolve for a write, but ignores write protection: for exec, which fills read-only segments.
  FaultResult resolve_for_loading(UserAddr address, uint8_t** pointer);

 private:
  [[nodiscard]] PageEntry* find_entry(UserAddr address) const;
  PageEntry* make_entry(UserAddr address);
  [[nodiscard]] bool may_be_at(UserAddr address, bool* writable) const;
  FaultResult map_zeroed(UserAddr address, bool writable);
  FaultResult break_sharing(UserAddr address, PageEntry* entry);
  [[nodiscard]] bool copy_table(AddressSpace& parent, uint32_t index);
  void release_range(UserAddr start, UserAddr end);
  void flush_if_loaded() const;

  PageEntry* directory_ = nullptr;  // null: the space does not exist
  Segment segments_[kMaxSegments] = {};
  uint32_t segment_count_ = 0;
  UserAddr heap_start_ = 0;
  UserAddr break_ = 0;
  uint32_t resident_ = 0;
};

// Faults since boot, for memstat.
struct FaultCounts {
  uint32_t zero;
  uint32_t copy_on_write;
  uint32_t killed;
};
extern FaultCounts fault_counts;

}  // namespace twofold::kernel
