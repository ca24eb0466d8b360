// A process that does all that can be done with a heap, by lot, and knows at each moment what must be in it.
#pragma once

#include <stdint.h>

#include "guest/user/ulib/random.h"
#include "guest/user/usertests/check.h"
#include "guest/user/usertests/owned_pages.h"

namespace usertests {

// A reference model for one process: what each page of its heap holds.
class HeapModel {
 public:
  static constexpr uint32_t kMaxPages = 700;

  explicit HeapModel(uint32_t owner) : owner_(owner), random_(owner), heap_(reserve_pages(0)) {}

  void run(uint32_t steps) {
    for (uint32_t step = 0; step < steps; ++step) {
      switch (random_.below(16)) {
        case 0:
          grow();
          break;
        case 1:
          shrink();
          break;
        case 2:
          if (random_.below(8) == 0) check_in_a_child();
          break;
        default:
          touch();
      }
    }
    for (uint32_t page = 0; page < pages_; ++page) check(page);
  }

 private:
  void grow() {
    const uint32_t more = random_.below(100);
    if (pages_ + more > kMaxPages) return;
    reserve_pages(more);
    for (uint32_t i = 0; i < more; ++i) versions_[pages_++] = 0;
  }

  void shrink() {
    const uint32_t fewer = random_.below(60);
    if (fewer > pages_) return;
    pages_ -= fewer;
    sbrk(-static_cast<int32_t>(fewer * kPageSize));
  }

  void check(uint32_t page) {
    if (versions_[page] == 0) {
      CHECK_EQ(*words_at(heap_, page), 0);
      CHECK_EQ(*(words_at(heap_, page) + kWordsPerPage - 1), 0);
    } else {
      CHECK(is_page_of(heap_, page, owner_, versions_[page]));
    }
  }

  void touch() {
    if (pages_ == 0) return;
    const uint32_t page = random_.below(pages_);
    check(page);
    if (random_.below(2) == 0) return;
    ++versions_[page];
    fill_pattern(words_at(heap_, page), kWordsPerPage, pattern_seed(owner_, page, versions_[page]));
  }

  // A child sees the same, and what it writes is its own.
  void check_in_a_child() {
    CHECK_CHILD({
      for (uint32_t i = 0; i < 50; ++i) touch();
      for (uint32_t page = 0; page < pages_; page += 7) check(page);
    });
  }

  uint32_t owner_;
  Random random_;
  uint8_t* heap_;
  uint32_t pages_ = 0;
  uint32_t versions_[kMaxPages] = {};
};

}  // namespace usertests
