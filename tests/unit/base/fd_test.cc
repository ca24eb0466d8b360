#include "vmm/base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "vmm/base/address.h"

namespace twofold {
namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

TEST(UniqueFd, ClosesWhatItOwnsOnce) {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(raw, 0);
  {
    const UniqueFd fd(raw);
    EXPECT_TRUE(static_cast<bool>(fd));
    EXPECT_EQ(fd.get(), raw);
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, MovesOwnership) {
  const int first = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int second = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  UniqueFd a(first);
  UniqueFd b(std::move(a));
  EXPECT_EQ(a.get(), -1);  // NOLINT: that a moved-from owner owns nothing is the point
  EXPECT_EQ(b.get(), first);
  b = UniqueFd(second);
  EXPECT_FALSE(is_open(first));
  EXPECT_EQ(b.get(), second);
  b.reset();
  EXPECT_FALSE(static_cast<bool>(b));
  EXPECT_FALSE(is_open(second));
}

TEST(Eventfd, SignalsAndDrains) {
  const auto fd = make_eventfd();
  ASSERT_TRUE(fd.has_value());
  EXPECT_FALSE(drain_eventfd(fd->get()));
  signal_eventfd(fd->get());
  signal_eventfd(fd->get());
  EXPECT_TRUE(drain_eventfd(fd->get()));
  EXPECT_FALSE(drain_eventfd(fd->get()));
}

TEST(Eventfd, SignallingAFullCounterDoesNotBlock) {
  const auto fd = make_eventfd();
  ASSERT_TRUE(fd.has_value());
  const uint64_t full = ~uint64_t{0} - 1;
  ASSERT_EQ(::write(fd->get(), &full, sizeof full), static_cast<ssize_t>(sizeof full));
  signal_eventfd(fd->get());
  EXPECT_TRUE(drain_eventfd(fd->get()));
}

TEST(ErrnoText, NamesTheError) {
  EXPECT_EQ(errno_text(ENOENT), "No such file or directory");
}

TEST(Address, FramesAndAlignment) {
  EXPECT_EQ(Gpa{0x5123}.gfn(), Gfn{5});
  EXPECT_EQ(base_of(Gfn{5}), Gpa{0x5000});
  EXPECT_EQ(align_up(0x1001, kPageSize), 0x2000u);
  EXPECT_EQ(align_up(0x1000, kPageSize), 0x1000u);
  EXPECT_EQ(align_down(0x1fff, kPageSize), 0x1000u);
}

}  // namespace
}  // namespace twofold
