// User pages: frames that hold programs' memory, mapped by some processes, or kept in the swap cache by none.
//
// Invariants
// - A page is mapped at the same virtual address by all that map it: fork copies a page to where it was, and nothing
//   moves one. So the frame table keeps one address, and asking each process's tables there tells who maps the
//   frame. That is the reverse mapping.
// - A page with a swap slot is the slot's page in the swap cache. The two hold each other: the slot's content stays
//   valid for as long as no PTE that maps the page has its dirty flag set.
// - A PTE that is present and not dirty maps what a fault could bring back: the slot's content if the page has a slot,
//   else what an empty PTE stands for (zeros, or the program's file). So reclaim may drop such a page, and whoever
//   gives a page content that exists nowhere else sets the dirty flag in all PTEs that map it. fork passes it on.
// - A busy page (under I/O) is not freed and not changed in place. It may be mapped unless it is loading.
// - use is kUser while references > 0, else kCache; a page that nobody maps, that is not busy and whose slot no PTE
//   names does not exist: settle() has freed it.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/address_space.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/process.h"

namespace twofold::kernel::pages {

// A new page, mapped once, for `address`; undefined content. kNoFrame when memory is full.
[[nodiscard]] uint32_t allocate(UserAddr address);

// A new page that nobody maps, to be read from `slot`: busy and loading. kNoFrame when memory is full.
[[nodiscard]] uint32_t allocate_for(uint32_t slot);

// One more PTE maps the page, at `address`.
void add_mapping(uint32_t number, UserAddr address);

// One fewer does. Frees what nobody needs any more.
void drop_mapping(uint32_t number);

// The disk is done with it. Frees what nobody needs any more.
void end_io(uint32_t number);

// Frees a page that nobody maps, whoever may want its slot. REQUIRES: no references, not busy
void drop(uint32_t number);

// A slot that the page is in the cache for has lost a user. Frees what nobody needs any more.
void settle(uint32_t number);

// Pages that more than one PTE maps.
uint32_t shared_count();

// Calls visit(process, entry) for each PTE that maps the page, and returns how many there were. A new program's pages,
// while exec builds it, are in no process's tables yet: then there are fewer than references.
template <typename Visit>
uint32_t for_each_mapping(uint32_t number, Visit visit) {
  const Frame& frame = frames::at(number);
  const UserAddr address = frame.page << kPageShift;
  const uint32_t wanted = frame.references;
  uint32_t found = 0;
  for (Process& process : processes) {
    if (found == wanted) break;
    if (process.pid == 0 || !process.space.exists()) continue;
    PageEntry* const entry = process.space.find_entry(address);
    if (entry == nullptr || (*entry & kPresent) == 0 || frames::number_of(*entry) != number) continue;
    ++found;
    visit(process, entry);
  }
  return found;
}

}  // namespace twofold::kernel::pages
