#include "vmm/memory/host_page.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "vmm/base/address.h"
#include "vmm/base/size.h"

namespace twofold {
namespace {

constexpr uint64_t bit(unsigned n) {
  return uint64_t{1} << n;
}
constexpr uint64_t kPfnZero = bit(5);
constexpr uint64_t kHuge = bit(6);

struct FakePagemap : PagemapSource {
  std::optional<uint64_t> entry_value;
  std::optional<uint64_t> categories_value;
  [[nodiscard]] std::optional<uint64_t> entry(uint64_t) const override { return entry_value; }
  [[nodiscard]] std::optional<uint64_t> categories(uint64_t) const override { return categories_value; }
};

HostPage page_of(std::optional<uint64_t> entry, std::optional<uint64_t> categories = 0) {
  FakePagemap fake;
  fake.entry_value = entry;
  fake.categories_value = categories;
  return inspect_host_page(fake, 0x7f0000000000);
}

TEST(HostPage, UnreadableIsUnknown) {
  const HostPage page = page_of(std::nullopt);
  EXPECT_EQ(page.backing, Backing::kUnknown);
  EXPECT_FALSE(page.pfn || page.mapping_bytes);
}

TEST(HostPage, UntouchedIsNotBacked) {
  const HostPage page = page_of(0);
  EXPECT_EQ(page.backing, Backing::kNotBacked);
  EXPECT_FALSE(page.pfn || page.mapping_bytes);
}

TEST(HostPage, PresentWithFrame) {
  const HostPage page = page_of(bit(63) | bit(56) | bit(55) | 0x12345);
  EXPECT_EQ(page.backing, Backing::kPresent);
  EXPECT_EQ(page.pfn, 0x12345u);
  EXPECT_EQ(page.mapping_bytes, kPageSize);
  EXPECT_TRUE(page.exclusive && page.soft_dirty);
  EXPECT_FALSE(page.file_or_shared || page.zero_page || page.write_protected);
}

TEST(HostPage, FrameNumberIsHiddenWithoutPrivilege) {
  const HostPage page = page_of(bit(63));
  EXPECT_EQ(page.backing, Backing::kPresent);
  EXPECT_FALSE(page.pfn.has_value());
}

TEST(HostPage, SwappedHasNoFrame) {
  const HostPage page = page_of(bit(62) | 0x777);  // the low bits are the swap slot
  EXPECT_EQ(page.backing, Backing::kSwapped);
  EXPECT_FALSE(page.pfn || page.mapping_bytes);
}

TEST(HostPage, MergedProtectedHugeAndZero) {
  EXPECT_TRUE(page_of(bit(63) | bit(61)).file_or_shared);
  EXPECT_TRUE(page_of(bit(63) | bit(57)).write_protected);
  EXPECT_EQ(page_of(bit(63), kHuge).mapping_bytes, 2 * MiB);
  EXPECT_TRUE(page_of(bit(63), kPfnZero).zero_page);
}

TEST(HostPage, MappingSizeIsUnknownWithoutPagemapScan) {
  EXPECT_FALSE(page_of(bit(63), std::nullopt).mapping_bytes.has_value());
}

// The real files, on this process's own memory. What the kernel hides from this user is not asserted.
TEST(ProcPagemap, SeesATouchedAndAnUntouchedPage) {
  void* map = ::mmap(nullptr, 2 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(map, MAP_FAILED);
  std::memset(map, 1, 1);
  const ProcPagemap pagemap;
  const auto hva = reinterpret_cast<uint64_t>(map);
  const HostPage touched = inspect_host_page(pagemap, hva);
  const HostPage untouched = inspect_host_page(pagemap, hva + kPageSize + 123);
  ::munmap(map, 2 * kPageSize);
  if (touched.backing == Backing::kUnknown) GTEST_SKIP() << "this kernel does not show /proc/self/pagemap";
  EXPECT_TRUE(touched.backing == Backing::kPresent || touched.backing == Backing::kSwapped);
  EXPECT_FALSE(touched.file_or_shared);
  EXPECT_EQ(untouched.backing, Backing::kNotBacked);
}

}  // namespace
}  // namespace twofold
