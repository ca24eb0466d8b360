#include "ksm/index.h"

namespace ksm {

Index::Node& Index::Nodes::at(uint64_t number) {
  const uint64_t block = number / kBlock;
  if (block >= blocks_.size()) blocks_.resize(block + 1);
  if (!blocks_[block]) blocks_[block] = std::make_unique<Node[]>(kBlock);
  return blocks_[block][number % kBlock];
}

Index::Node* Index::Nodes::find(uint64_t number) {
  const uint64_t block = number / kBlock;
  if (block >= blocks_.size() || !blocks_[block]) return nullptr;
  return &blocks_[block][number % kBlock];
}

template <typename Function>
void Index::Nodes::for_each(Function function) {
  for (const auto& block : blocks_) {
    if (!block) continue;
    for (uint64_t i = 0; i < kBlock; ++i) function(block[i]);
  }
}

Index::Index(unsigned tree_bits)
    : tree_bits_(tree_bits), stable_(size_t{1} << tree_bits), candidate_(size_t{1} << tree_bits) {}

Index::~Index() {
  for (Tree& tree : stable_) tree.clear();
  for (Tree& tree : candidate_) tree.clear();
}

void Index::take_out(Node& node, std::vector<Tree>& forest) {
  Tree& tree = forest[tree_of(node.hash)];
  tree.erase(tree.iterator_to(node));
  node.entered = false;
}

std::optional<Slot> Index::find_stable(uint64_t hash) const {
  const Tree& tree = stable_[tree_of(hash)];
  const auto found = tree.find(hash);
  if (found == tree.end()) return std::nullopt;
  return found->number;
}

bool Index::add_stable(uint64_t hash, Slot slot) {
  Node& node = slots_.at(slot);
  node.hash = hash;
  node.number = slot;
  node.entered = stable_[tree_of(hash)].insert(node).second;
  return node.entered;
}

void Index::remove_stable(Slot slot) {
  Node* const node = slots_.find(slot);
  if (node != nullptr && node->entered) take_out(*node, stable_);
}

std::optional<Sighting> Index::find_candidate(uint64_t hash) const {
  const Tree& tree = candidate_[tree_of(hash)];
  const auto found = tree.find(hash);
  if (found == tree.end()) return std::nullopt;
  return Sighting{found->owner, found->number};
}

void Index::set_candidate(uint64_t hash, Sighting sighting) {
  if (sighting.member >= frames_.size()) frames_.resize(sighting.member + 1);
  Node& node = frames_[sighting.member].at(sighting.frame);
  if (node.entered) {
    if (node.hash == hash) return;
    take_out(node, candidate_);
    --candidate_count_;
  }
  Tree& tree = candidate_[tree_of(hash)];
  if (const auto other = tree.find(hash); other != tree.end()) {
    other->entered = false;
    tree.erase(other);
    --candidate_count_;
  }
  node.hash = hash;
  node.owner = sighting.member;
  node.number = static_cast<uint32_t>(sighting.frame);
  node.entered = true;
  tree.insert(node);
  ++candidate_count_;
}

void Index::remove_candidate(Sighting sighting) {
  if (sighting.member >= frames_.size()) return;
  Node* const node = frames_[sighting.member].find(sighting.frame);
  if (node == nullptr || !node->entered) return;
  take_out(*node, candidate_);
  --candidate_count_;
}

void Index::forget(MemberId member) {
  if (member >= frames_.size()) return;
  frames_[member].for_each([this](Node& node) {
    if (!node.entered) return;
    take_out(node, candidate_);
    --candidate_count_;
  });
  frames_[member] = {};
}

}  // namespace ksm
