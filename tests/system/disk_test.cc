// A virtio-blk disk as a guest's driver sees it, and what is then in the file.
#include <fstream>
#include <sstream>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

constexpr size_t kSector = 512;
constexpr int kPassed = 33;
constexpr int kWriteRefused = (0x13 << 1) | 1;

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string make_image(size_t sectors) {
  std::string image(sectors * kSector, '.');
  for (size_t i = 0; i < kSector; ++i) image[i] = static_cast<char>(i * 31);
  return image;
}

TEST(Disk, AGuestReadsWritesAndFlushesIt) {
  const TempDir dir;
  std::string image = make_image(64);
  std::ofstream(dir.path("disk"), std::ios::binary) << image;
  const auto done =
      run(run_command(test_kernel("blk"), {"--disk", dir.path("disk"), "--stats", dir.path("stats")}), kLimit);
  EXPECT_EQ(done.status, kPassed) << done.errors;
  for (size_t i = 0; i < kSector; ++i) image[7 * kSector + i] = static_cast<char>(image[i] + 1);
  EXPECT_EQ(contents(dir.path("disk")), image) << "sector 7 holds sector 0 plus one, and nothing else has changed";
  const auto stats = contents(dir.path("stats"));
  EXPECT_NE(stats.find("\"writes\": 1"), std::string::npos) << stats;
  EXPECT_NE(stats.find("\"flushes\": 1"), std::string::npos) << stats;
}

TEST(Disk, AReadOnlyOneRefusesWritesAndStaysAsItWas) {
  const TempDir dir;
  const std::string image = make_image(64);
  std::ofstream(dir.path("disk"), std::ios::binary) << image;
  const auto done = run(run_command(test_kernel("blk"), {"--disk", dir.path("disk") + ",ro"}), kLimit);
  EXPECT_EQ(done.status, kWriteRefused) << done.errors;
  EXPECT_EQ(contents(dir.path("disk")), image);
}

}  // namespace
}  // namespace twofold::test
