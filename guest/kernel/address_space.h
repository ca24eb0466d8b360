// A process's user half: its page directory and what may be where in it.
//
// Pages come into being when they are first touched, zeroed or from the program's file; they are shared copy-on-write
// after fork; and they go to a swap disk and come back from it. All that happens in fault(), which the page-fault
// handler and the kernel's own access to user memory (UserBuffer) go through alike: the kernel never touches a user
// address itself, it resolves it to the direct map first.
//
// A PTE is empty, present, or names a swap slot (swap.h). Reclaim (reclaim.h) may change the PTEs of any process
// whenever the big kernel lock is free; of the flags in them the processor sets A and D by itself while it runs the
// process.
//
// Thread safety: the big kernel lock. A space is loaded on one processor at a time; see tlb.h for what that one holds.
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
  kIoError,  // the page was on the swap disk, which cannot give it back
  kKilled,   // the process has been killed while it waited
};

class AddressSpace {
 public:
  struct Segment {
    UserAddr start;  // page-aligned
    UserAddr end;    // page-aligned, exclusive
    bool writable;
    UserAddr file_start;  // what is in its pages besides zeros: `file_bytes` bytes from here on
    uint32_t file_bytes;
    const uint8_t* file;  // that lie here, for good
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
  [[nodiscard]] uint32_t swapped_pages() const { return swapped_; }
  [[nodiscard]] uint32_t page_tables() const;

  // What the tables hold, counted anew: for audits.
  struct Entries {
    uint32_t present;
    uint32_t swapped;
  };
  [[nodiscard]] Entries count_entries() const;

  // Makes this processor run on it; on the kernel's own page directory if the space does not exist.
  void load() const;

  // Declares a part of the program. The heap starts after the last segment. false: there are too many. All segments
  // come before the first page: a page that segments share is mapped once, with the rights of all.
  // REQUIRES: no page is present; kUserTextBase <= start < end <= kStackBottom; the file part lies within
  [[nodiscard]] bool add_segment(const Segment& segment);

  // Moves the break by `delta` bytes and gives the old one; false, and no change, if that leaves the heap's range.
  [[nodiscard]] bool move_break(int32_t delta, UserAddr* old_break);

  // Makes the page at `address` present, and writable for a write, if the program may do that. Counts the fault. May
  // sleep, for memory or for the swap disk; it all may have gone again when the process next sleeps.
  FaultResult fault(UserAddr address, Access access);

  // fault(), unless not needed, then the byte's address in the direct map. Good until the process next sleeps.
  FaultResult resolve(UserAddr address, Access access, uint8_t** pointer);

  // The PTE for `address`; null if its page table does not exist. Good until pages come or go.
  [[nodiscard]] PageEntry* find_entry(UserAddr address) const;

  // For reclaim: change a present PTE of this space to `replacement`, empty or a slot's, and keep the books. The first
  // does nothing and returns false if the page is dirty or is being accessed. The frame's mapping is the caller's to
  // drop.
  [[nodiscard]] bool unmap_if_clean(PageEntry* entry, PageEntry replacement);
  void unmap(PageEntry* entry, PageEntry replacement);

  // Undoes unmap(): maps `frame` where a slot's number stands, dirty, to be copied or taken over at the next write.
  void map_again(PageEntry* entry, PhysAddr frame);

 private:
  struct Attempt;

  FaultResult try_fault(UserAddr address, Attempt* attempt);
  PageEntry* make_entry(UserAddr address);
  [[nodiscard]] bool may_be_at(UserAddr address, bool* writable) const;
  bool fill_from_file(UserAddr page_address, uint8_t* page) const;
  FaultResult map_new(UserAddr address, bool writable);
  FaultResult map_swapped(UserAddr address, bool writable, PageEntry* entry, Attempt* attempt);
  FaultResult break_sharing(UserAddr address, PageEntry* entry);
  [[nodiscard]] bool copy_table(AddressSpace& parent, uint32_t index);
  void release_range(UserAddr start, UserAddr end);
  void flush_if_loaded() const;

  PageEntry* directory_ = nullptr;  // null: the space does not exist
  Segment segments_[kMaxSegments] = {};
  uint32_t segment_count_ = 0;
  UserAddr heap_start_ = 0;
  UserAddr break_ = 0;
  uint32_t resident_ = 0;  // PTEs that map a page
  uint32_t swapped_ = 0;   // PTEs that name a slot
};

// Faults since boot, for memstat.
struct FaultCounts {
  uint32_t zero;           // a zeroed page
  uint32_t file;           // a page of the program's file
  uint32_t copy_on_write;  // a copy, or the last reference
  uint32_t cache;          // a page that was still, or already, in the swap cache
  uint32_t swap;           // a page from the swap disk: the major faults
  uint32_t killed;
};
extern FaultCounts fault_counts;

}  // namespace twofold::kernel
