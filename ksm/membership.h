// A memory's place in a share domain: what it asks, and what it is given.
//
// A domain has one pool, one index and one key; memories of different domains never share a page. Its members may be
// strangers: what one says of its pages can make nothing happen but a proposal, which the other compares for itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ksm/frames.h"
#include "ksm/page_hash.h"

namespace ksm {

struct Question {
  uint64_t frame = 0;
  uint64_t hash = 0;
};

// Thread safety: one thread.
class Membership {
 public:
  virtual ~Membership() = default;

  // What page_hash wants.
  [[nodiscard]] virtual uint64_t key() const = 0;
  // A descriptor of the pool, to map privately, and its pages, to compare with.
  [[nodiscard]] virtual int pool() const = 0;
  [[nodiscard]] virtual Page page(Slot slot) const = 0;

  // Says what frames of `memory` look like, and appends what they, or frames asked about earlier, could be merged with.
  // With each proposal comes a reference to its slot.
  virtual void ask(const std::byte* memory, std::span<const Question> questions, std::vector<Proposal>& proposals) = 0;

  // Gives references back. REQUIRES: the member has them, and no frame of its can show those slots through them
  virtual void give_back(std::span<const Slot> slots) = 0;
};

}  // namespace ksm
