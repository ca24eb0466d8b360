// A share domain within one process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ksm/index.h"
#include "ksm/membership.h"
#include "ksm/pool.h"

namespace ksm {

struct DomainStats {
  uint64_t slots_filled = 0;  // pages in the pool
  uint64_t users = 0;         // frames that refer to them, and proposals on their way
  uint64_t candidates = 0;    // frames seen once
  uint64_t questions = 0;     // ever
  uint64_t torn = 0;          // pages that changed while they were copied into the pool, ever
};

// Thread safety: all of it; mutex_ guards everything but the constants. A membership must end before its domain.
class LocalDomain {
 public:
  // Of at most so many shared pages. Errors, as a sentence.
  static std::unique_ptr<LocalDomain> create(uint32_t slots, std::string* error);
  LocalDomain(const LocalDomain&) = delete;
  LocalDomain& operator=(const LocalDomain&) = delete;

  // The member gives all its references back before it ends.
  [[nodiscard]] std::unique_ptr<Membership> join();

  // The same in two steps, for a member whose pages are not at hand: who speaks for it looks each question up, and
  // where the domain wants the page, supplies it. `member` comes from enter().
  enum class Verdict : uint8_t { kUnknown, kSlot, kWanted };
  struct Answer {
    Verdict verdict = Verdict::kUnknown;
    Slot slot = kNoSlot;  // with a reference
  };
  [[nodiscard]] MemberId enter();
  void leave(MemberId member);
  [[nodiscard]] Answer look_up(MemberId member, Question question);
  // The slot that has this page now, with a reference; kNoSlot if the page is not what the question said, or there is
  // no room.
  [[nodiscard]] Slot supply(MemberId member, Question question, const std::byte* page);
  // What frames asked about earlier could be merged with, with references.
  void take_notices(MemberId member, std::vector<Proposal>& proposals);
  void give_back(std::span<const Slot> slots);

  [[nodiscard]] uint64_t key() const { return key_; }
  [[nodiscard]] int pool() const { return pool_.read_only(); }
  [[nodiscard]] uint32_t slots() const { return pool_.slots(); }
  // Without the lock: a slot's bytes do not change while somebody has a reference to it.
  [[nodiscard]] Page page(Slot slot) const { return pool_.page(slot); }

  [[nodiscard]] DomainStats stats() const;
  [[nodiscard]] uint32_t users(Slot slot) const;

 private:
  class Member;
  LocalDomain(Pool pool, uint64_t key);
  // The rest REQUIRE mutex_.
  Slot promote(const std::byte* page, uint64_t hash);
  void add_user(Slot slot);
  void remove_user(Slot slot);

  mutable std::mutex mutex_;
  Pool pool_;
  const uint64_t key_;
  Index index_;
  std::map<MemberId, std::vector<Proposal>> notices_;  // by member: of frames asked about earlier
  DomainStats stats_;
};

}  // namespace ksm
