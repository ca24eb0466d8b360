#include "ksm/local_domain.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>

namespace ksm {

namespace {

// So many trees that each holds a handful of nodes: the way down a tree is one cache miss after the other.
unsigned tree_bits(uint32_t slots) {
  constexpr int kNodesATree = 16;
  return static_cast<unsigned>(std::clamp<int>(std::bit_width(slots / kNodesATree), 6, 16));
}

}  // namespace

class LocalDomain::Member : public Membership {
 public:
  Member(LocalDomain& domain, MemberId id) : domain_(domain), id_(id) {}
  ~Member() override {
    const std::lock_guard lock(domain_.mutex_);
    domain_.index_.forget(id_);
    for (const Proposal& notice : domain_.notices_[id_]) domain_.remove_user(notice.slot);
    domain_.notices_.erase(id_);
  }

  [[nodiscard]] uint64_t key() const override { return domain_.key_; }
  [[nodiscard]] int pool() const override { return domain_.pool_.read_only(); }
  // Without the lock: a slot's bytes do not change while somebody has a reference to it.
  [[nodiscard]] Page page(Slot slot) const override { return domain_.pool_.page(slot); }

  void ask(const std::byte* memory, std::span<const Question> questions, std::vector<Proposal>& proposals) override {
    const std::lock_guard lock(domain_.mutex_);
    for (const Question& question : questions) {
      const auto slot = domain_.answer(id_, memory + question.frame * kPageBytes, question);
      if (slot) proposals.push_back({question.frame, *slot});
    }
    std::vector<Proposal>& notices = domain_.notices_[id_];
    proposals.insert(proposals.end(), notices.begin(), notices.end());
    notices.clear();
  }

  void give_back(std::span<const Slot> slots) override {
    const std::lock_guard lock(domain_.mutex_);
    for (const Slot slot : slots) domain_.remove_user(slot);
  }

 private:
  LocalDomain& domain_;
  const MemberId id_;
};

std::unique_ptr<LocalDomain> LocalDomain::create(uint32_t slots, std::string* error) {
  uint64_t key = 0;
  if (::getrandom(&key, sizeof key, 0) != sizeof key) {
    *error = "cannot choose a key for the page hash: the kernel gives no random bytes";
    return nullptr;
  }
  auto pool = Pool::create(slots, error);
  if (!pool) return nullptr;
  return std::unique_ptr<LocalDomain>(new LocalDomain(std::move(*pool), key));
}

LocalDomain::LocalDomain(Pool pool, uint64_t key)
    : pool_(std::move(pool)), key_(key), index_(tree_bits(pool_.slots())) {}

std::unique_ptr<Membership> LocalDomain::join() {
  const std::lock_guard lock(mutex_);
  const MemberId id = next_member_++;
  notices_[id];
  return std::make_unique<Member>(*this, id);
}

std::optional<Slot> LocalDomain::answer(MemberId asker, const std::byte* page, Question question) {
  ++stats_.questions;
  const Sighting here{asker, question.frame};
  if (const auto slot = index_.find_stable(question.hash)) {
    index_.remove_candidate(here);
    pool_.add_user(*slot);
    ++stats_.users;
    return slot;
  }
  const auto other = index_.find_candidate(question.hash);
  if (!other || *other == here) {
    index_.set_candidate(question.hash, here);
    return std::nullopt;
  }
  const Slot slot = promote(page, question.hash);
  if (slot == kNoSlot) return std::nullopt;
  index_.remove_candidate(*other);
  index_.remove_candidate(here);
  notices_[other->member].push_back({other->frame, slot});
  pool_.add_user(slot);
  pool_.add_user(slot);
  stats_.users += 2;
  return slot;
}

// Puts a page into the pool. What was copied is what counts: the frame may have changed since it was hashed, or in the
// middle of it.
Slot LocalDomain::promote(const std::byte* page, uint64_t hash) {
  const Slot slot = pool_.fill(page);
  if (slot == kNoSlot) return kNoSlot;
  if (page_hash(pool_.page(slot), key_) == hash && index_.add_stable(hash, slot)) return slot;
  ++stats_.torn;
  pool_.discard(slot);
  return kNoSlot;
}

void LocalDomain::remove_user(Slot slot) {
  --stats_.users;
  if (pool_.remove_user(slot)) index_.remove_stable(slot);
}

DomainStats LocalDomain::stats() const {
  const std::lock_guard lock(mutex_);
  DomainStats stats = stats_;
  stats.slots_filled = pool_.filled();
  stats.candidates = index_.candidates();
  return stats;
}

uint32_t LocalDomain::users(Slot slot) const {
  const std::lock_guard lock(mutex_);
  return pool_.users(slot);
}

}  // namespace ksm
