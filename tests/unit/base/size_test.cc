#include "vmm/base/size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twofold {
namespace {

TEST(ParseSize, TakesBytesAndSuffixes) {
  struct Case {
    const char* text;
    uint64_t bytes;
  };
  for (const Case& c : {Case{"0", 0},
                        {"1", 1},
                        {"4096", 4096},
                        {"1K", KiB},
                        {"64M", 64 * MiB},
                        {"64m", 64 * MiB},
                        {"64MB", 64 * MiB},
                        {"64MiB", 64 * MiB},
                        {"2G", 2 * GiB},
                        {"1T", 1024 * GiB},
                        {"7B", 7},
                        {"18446744073709551615", ~uint64_t{0}},
                        {"16777215T", uint64_t{16777215} << 40}}) {
    const auto parsed = parse_size(c.text);
    ASSERT_TRUE(parsed.has_value()) << c.text;
    EXPECT_EQ(*parsed, c.bytes) << c.text;
  }
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const char* text : {"", "M", "-1", "+1", " 1", "1 ", "1.5G", "1X", "1KK", "1MiBs", "0x10", "1BB", "K1"}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_THAT(parsed.error().message, ::testing::HasSubstr("is not a size")) << text;
  }
}

TEST(ParseSize, RefusesWhatDoesNotFit) {
  for (const char* text : {"18446744073709551616", "16777216T", "18014398509481984K"}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_THAT(parsed.error().message, ::testing::HasSubstr("too large a size")) << text;
  }
}

TEST(FormatSize, PicksTheLargestUnitThatIsFilled) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(KiB), "1 KiB");
  EXPECT_EQ(format_size(64 * MiB), "64 MiB");
  EXPECT_EQ(format_size(1536 * MiB), "1.5 GiB");
  EXPECT_EQ(format_size(2048 * GiB), "2 TiB");
}

}  // namespace
}  // namespace twofold
