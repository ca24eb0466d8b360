// The canonical pages: one memory file, a page a slot, which memories map privately.
//
// A slot's content never changes while it has users; its count of users is exact, for a hole punched under a mapping
// shows zeros there, silently. Whoever maps the pool gets a descriptor that is open for reading only: it can be mapped
// privately, and not written. (By its owner's mode the file cannot be opened for writing anew either, but its owner can
// change that: who runs as the pool's own user, or as root, is kept out by nothing here.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ksm/descriptor.h"
#include "ksm/frames.h"
#include "ksm/page_hash.h"

namespace ksm {

// For one thread at a time.
class Pool {
 public:
  // Room for so many slots; memory is taken as they are filled. Errors, as a sentence.
  static std::optional<Pool> create(uint32_t slots, std::string* error);
  Pool(Pool&& other) noexcept;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  Pool& operator=(Pool&&) = delete;
  ~Pool();

  [[nodiscard]] int read_only() const { return reader_.get(); }

  // Fills a free slot with the bytes that `page` has just now, next to the slot filled before if that is free. The slot
  // has no user yet. kNoSlot if all are taken, or the host has no memory.
  [[nodiscard]] Slot fill(const std::byte* page);
  [[nodiscard]] Page page(Slot slot) const;

  // A count that would overflow stays where it is, and the slot filled for ever: better lost than punched too early.
  void add_user(Slot slot);
  // Returns whether that was the last: then the slot is free and its memory given back.
  bool remove_user(Slot slot);
  // Frees a slot that was filled and is not wanted. REQUIRES: it has no user
  void discard(Slot slot);

  [[nodiscard]] uint32_t users(Slot slot) const { return slot < users_.size() ? users_[slot] : 0; }
  // Slots that hold a page.
  [[nodiscard]] uint32_t filled() const { return filled_count_; }
  [[nodiscard]] uint32_t slots() const { return static_cast<uint32_t>(users_.size()); }

 private:
  Pool(Descriptor writer, Descriptor reader, std::byte* view, uint32_t slots);

  Descriptor writer_;
  Descriptor reader_;
  std::byte* view_;              // all slots, read-only
  std::vector<uint32_t> users_;  // by slot
  std::vector<bool> filled_;     // by slot
  uint32_t filled_count_ = 0;
  Slot next_ = 0;  // where the search for a free slot begins
};

}  // namespace ksm
