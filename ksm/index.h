// What pages are known by their hash: KSM's two trees (Arcangeli, Eidus and Wright, "Increasing memory density by using
// KSM", OLS 2009), keyed by a hash where KSM compares contents.
//
//   stable      hash → the pool's slot with that content
//   candidates  hash → a member's frame that was seen with it, once
//
// Each tree is a forest, picked by the hash's top bits: shallower, and better cached. A hash proposes and never
// decides, so that two contents with one hash, or a frame that has changed since, cost a comparison and nothing else.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ksm/frames.h"

namespace ksm {

using MemberId = uint32_t;

// A member's frame.
struct Sighting {
  MemberId member = 0;
  uint64_t frame = 0;
  bool operator==(const Sighting&) const = default;
};

// For one thread at a time. Memory: 48 bytes for each slot and each frame that was ever entered, in blocks of 512.
class Index {
 public:
  // `tree_bits`: 2 to the power of so many trees in each forest.
  explicit Index(unsigned tree_bits = 12);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  [[nodiscard]] std::optional<Slot> find_stable(uint64_t hash) const;
  // False if there is another slot of that hash already. REQUIRES: the slot is not in the tree
  bool add_stable(uint64_t hash, Slot slot);
  void remove_stable(Slot slot);

  [[nodiscard]] std::optional<Sighting> find_candidate(uint64_t hash) const;
  // Enters the frame, or enters it anew under another hash; takes the place of another frame of that hash.
  void set_candidate(uint64_t hash, Sighting sighting);
  void remove_candidate(Sighting sighting);
  // All of a member's, and what was allocated for it.
  void forget(MemberId member);

  [[nodiscard]] size_t candidates() const { return candidate_count_; }

 private:
  using Hook = boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>,
                                               boost::intrusive::link_mode<boost::intrusive::normal_link>>;
  struct Node : Hook {
    uint64_t hash = 0;
    uint32_t owner = 0;   // of candidates: the member
    uint32_t number = 0;  // slot or frame
    bool entered = false;
  };
  struct ByHash {
    using type = uint64_t;
    uint64_t operator()(const Node& node) const { return node.hash; }
  };
  using Tree =
      boost::intrusive::set<Node, boost::intrusive::key_of_value<ByHash>, boost::intrusive::constant_time_size<false>>;

  // Nodes by number, allocated in blocks as they are needed.
  class Nodes {
   public:
    Node& at(uint64_t number);
    [[nodiscard]] Node* find(uint64_t number);
    template <typename Function>
    void for_each(Function function);

   private:
    static constexpr uint64_t kBlock = 512;
    std::vector<std::unique_ptr<Node[]>> blocks_;
  };

  [[nodiscard]] size_t tree_of(uint64_t hash) const { return tree_bits_ == 0 ? 0 : hash >> (64 - tree_bits_); }
  void take_out(Node& node, std::vector<Tree>& forest);

  const unsigned tree_bits_;
  std::vector<Tree> stable_;
  std::vector<Tree> candidate_;
  Nodes slots_;
  std::vector<Nodes> frames_;  // by member
  size_t candidate_count_ = 0;
};

}  // namespace ksm
