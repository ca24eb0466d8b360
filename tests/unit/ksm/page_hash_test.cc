#include "ksm/page_hash.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <set>

namespace ksm {
namespace {

using Bytes = std::array<std::byte, kPageBytes>;

TEST(PageHash, EqualPagesHaveEqualHashesWhereverTheyLie) {
  // An odd offset: vectorised code must not depend on alignment.
  std::array<std::byte, kPageBytes + 1> raw = {};
  Bytes page = {};
  for (size_t i = 0; i < kPageBytes; ++i) raw[i + 1] = page[i] = static_cast<std::byte>(i * 7);
  EXPECT_EQ(page_hash(Page(page), 1), page_hash(Page(std::span(raw).subspan<1, kPageBytes>()), 1));
}

TEST(PageHash, EveryByteCounts) {
  Bytes page = {};
  std::set<uint64_t> seen = {page_hash(Page(page), 1)};
  for (size_t i = 0; i < kPageBytes; ++i) {
    page[i] = std::byte{1};
    EXPECT_TRUE(seen.insert(page_hash(Page(page), 1)).second) << "byte " << i << " does not reach the hash";
    page[i] = std::byte{0};
  }
}

TEST(PageHash, TheKeyChangesTheHash) {
  const Bytes page = {};
  EXPECT_NE(page_hash(Page(page), 1), page_hash(Page(page), 2));
}

TEST(ZeroPage, OnlyAPageOfZeros) {
  Bytes page = {};
  EXPECT_TRUE(is_zero_page(Page(page)));
  for (size_t i = 0; i < kPageBytes; ++i) {
    page[i] = std::byte{0x80};
    EXPECT_FALSE(is_zero_page(Page(page))) << "byte " << i;
    page[i] = std::byte{0};
  }
  page.fill(std::byte{1});
  EXPECT_FALSE(is_zero_page(Page(page)));
}

}  // namespace
}  // namespace ksm
