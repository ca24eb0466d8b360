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
  explicit Member(LocalDomain& domain) : domain_(domain), id_(domain.enter()) {}
  ~Member() override { domain_.leave(id_); }

  [[nodiscard]] uint64_t key() const override { return domain_.key(); }
  [[nodiscard]] int pool() const override { return domain_.pool(); }
  [[nodiscard]] Page page(Slot slot) const override { return domain_.page(slot); }

  void ask(const std::byte* memory, std::span<const Question> questions, std::vector<Proposal>& proposals) override {
    for (const Question& question : questions) {
      Answer answer = domain_.look_up(id_, question);
      if (answer.verdict == Verdict::kWanted) {
        answer.slot = domain_.supply(id_, question, memory + question.frame * kPageBytes);
      }
      if (answer.slot != kNoSlot) proposals.push_back({question.frame, answer.slot});
    }
    domain_.take_notices(id_, proposals);
  }
  void give_back(std::span<const Slot> slots) override { domain_.give_back(slots); }

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
  return std::make_unique<Member>(*this);
}

MemberId LocalDomain::enter() {
  const std::lock_guard lock(mutex_);
  MemberId id = 0;  // the lowest that is free: the index keeps a list by it
  while (notices_.contains(id)) ++id;
  notices_[id];
  return id;
}

void LocalDomain::leave(MemberId member) {
  const std::lock_guard lock(mutex_);
  index_.forget(member);
  for (const Proposal& notice : notices_[member]) remove_user(notice.slot);
  notices_.erase(member);
}

LocalDomain::Answer LocalDomain::look_up(MemberId member, Question question) {
  const std::lock_guard lock(mutex_);
  ++stats_.questions;
  const Sighting here{member, question.frame};
  if (const auto slot = index_.find_stable(question.hash)) {
    index_.remove_candidate(here);
    add_user(*slot);
    return {Verdict::kSlot, *slot};
  }
  const auto other = index_.find_candidate(question.hash);
  if (other && *other != here) return {Verdict::kWanted, kNoSlot};
  index_.set_candidate(question.hash, here);
  return {};
}

// Things may have changed since it was wanted: another may have supplied it, or the other frame may have gone.
Slot LocalDomain::supply(MemberId member, Question question, const std::byte* page) {
  const std::lock_guard lock(mutex_);
  const Sighting here{member, question.frame};
  const auto other = index_.find_candidate(question.hash);
  Slot slot = index_.find_stable(question.hash).value_or(kNoSlot);
  if (slot == kNoSlot && (!other || *other == here)) {
    index_.set_candidate(question.hash, here);
    return kNoSlot;
  }
  if (slot == kNoSlot) slot = promote(page, question.hash);
  if (slot == kNoSlot) return kNoSlot;
  index_.remove_candidate(here);
  add_user(slot);
  if (other && *other != here) {
    index_.remove_candidate(*other);
    notices_[other->member].push_back({other->frame, slot});
    add_user(slot);
  }
  return slot;
}

void LocalDomain::take_notices(MemberId member, std::vector<Proposal>& proposals) {
  const std::lock_guard lock(mutex_);
  std::vector<Proposal>& notices = notices_[member];
  proposals.insert(proposals.end(), notices.begin(), notices.end());
  notices.clear();
}

void LocalDomain::give_back(std::span<const Slot> slots) {
  const std::lock_guard lock(mutex_);
  for (const Slot slot : slots) remove_user(slot);
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

void LocalDomain::add_user(Slot slot) {
  pool_.add_user(slot);
  ++stats_.users;
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
