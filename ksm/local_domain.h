// A share domain within one process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
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

// Thread safety: all of it; mutex_ guards everything. A membership must end before its domain.
class LocalDomain {
 public:
  // Of at most so many shared pages. Errors, as a sentence.
  static std::unique_ptr<LocalDomain> create(uint32_t slots, std::string* error);
  LocalDomain(const LocalDomain&) = delete;
  LocalDomain& operator=(const LocalDomain&) = delete;

  // The member gives all its references back before it ends.
  [[nodiscard]] std::unique_ptr<Membership> join();

  [[nodiscard]] DomainStats stats() const;
  [[nodiscard]] uint32_t users(Slot slot) const;

 private:
  class Member;
  LocalDomain(Pool pool, uint64_t key);
  // The rest REQUIRE mutex_.
  [[nodiscard]] std::optional<Slot> answer(MemberId asker, const std::byte* page, Question question);
  Slot promote(const std::byte* page, uint64_t hash);
  void remove_user(Slot slot);

  mutable std::mutex mutex_;
  Pool pool_;
  const uint64_t key_;
  Index index_;
  std::map<MemberId, std::vector<Proposal>> notices_;  // by member: of frames asked about earlier
  MemberId next_member_ = 0;
  DomainStats stats_;
};

}  // namespace ksm
