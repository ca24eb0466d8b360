#include "vmm/virtio/buffers.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace twofold {
namespace {

// Three buffers that read "abc", "defgh", "i" as one run.
class Buffers : public ::testing::Test {
 protected:
  std::string one_ = "abc";
  std::string two_ = "defgh";
  std::string three_ = "i";
  std::array<iovec, 3> run_ = {{{one_.data(), 3}, {two_.data(), 5}, {three_.data(), 1}}};

  std::string read(uint64_t skip, size_t length) {
    std::string text(length, '?');
    text.resize(copy_from(run_, skip, std::as_writable_bytes(std::span(text))));
    return text;
  }
};

TEST_F(Buffers, TotalCountsAll) {
  EXPECT_EQ(total_bytes(run_), 9u);
  EXPECT_EQ(total_bytes({}), 0u);
}

TEST_F(Buffers, CopyFromEveryPlaceAndLength) {
  const std::string all = "abcdefghi";
  for (size_t skip = 0; skip <= 10; ++skip) {
    for (size_t length = 0; length <= 11; ++length) {
      EXPECT_EQ(read(skip, length), skip < all.size() ? all.substr(skip, length) : "") << skip << " " << length;
    }
  }
}

TEST_F(Buffers, CopyToCrossesBuffersAndStopsAtTheEnd) {
  const std::string text = "XYZ";
  EXPECT_EQ(copy_to(run_, 2, std::as_bytes(std::span(text))), 3u);
  EXPECT_EQ(read(0, 9), "abXYZfghi");
  EXPECT_EQ(copy_to(run_, 8, std::as_bytes(std::span(text))), 1u);
  EXPECT_EQ(read(0, 9), "abXYZfghX");
  EXPECT_EQ(copy_to(run_, 9, std::as_bytes(std::span(text))), 0u);
}

TEST_F(Buffers, SliceIsTheSameBytes) {
  std::vector<iovec> part;
  for (size_t skip = 0; skip <= 10; ++skip) {
    for (size_t length = 0; length <= 11; ++length) {
      slice(run_, skip, length, part);
      std::string text(16, '?');
      text.resize(copy_from(part, 0, std::as_writable_bytes(std::span(text))));
      EXPECT_EQ(text, read(skip, length));
      for (const iovec& buffer : part) EXPECT_GT(buffer.iov_len, 0u);
    }
  }
}

}  // namespace
}  // namespace twofold
