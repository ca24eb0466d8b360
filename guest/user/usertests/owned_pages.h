// Pages whose content tells whose they are.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"
#include "guest/user/ulib/pattern.h"

namespace usertests {

constexpr uint32_t kWordsPerPage = guest_abi::kPageSize / sizeof(uint32_t);

inline uint32_t* words_at(uint8_t* pages, uint32_t page) {
  return reinterpret_cast<uint32_t*>(pages + page * guest_abi::kPageSize);
}

inline void fill(uint8_t* pages, uint32_t count, uint32_t owner, uint32_t version = 0) {
  for (uint32_t i = 0; i < count; ++i) {
    ulib::fill_pattern(words_at(pages, i), kWordsPerPage, ulib::pattern_seed(owner, i, version));
  }
}

inline bool is_page_of(uint8_t* pages, uint32_t page, uint32_t owner, uint32_t version = 0) {
  return ulib::wrong_words(words_at(pages, page), kWordsPerPage, ulib::pattern_seed(owner, page, version)) == 0;
}

// Pages that do not belong to `owner` as a whole.
inline uint32_t wrong_pages(uint8_t* pages, uint32_t count, uint32_t owner, uint32_t version = 0) {
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < count; ++i) wrong += is_page_of(pages, i, owner, version) ? 0 : 1;
  return wrong;
}

}  // namespace usertests
