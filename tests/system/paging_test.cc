// The guest pages on Twofold's virtio-blk: the load that QEMU's is given in tests/interop, and swap files that are not
// what they should be.
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/paging_load.h"
#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

constexpr auto kLoadLimit = 200s;
constexpr int kPassed = 33;
constexpr uint64_t kSwapBytes = 64 << 20;

void make_file(const std::string& path, uint64_t bytes) {
  std::ofstream(path, std::ios::binary);
  std::filesystem::resize_file(path, bytes);
}

Finished run_guest(const std::string& disk, const std::string& command, const std::string& swap = "vda") {
  return run(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--memory", "16M", "--disk", disk, "--append",
                                          "swap=" + swap + " run=\"" + command + "\""}),
             kLoadLimit);
}

// A million operations in all at full length; that takes a minute in the svm lab.
TEST(Paging, FourProcessesOfTwiceTheMemoryFindEveryByte) {
  const int operations = full_tests() ? kLoadOperations : kLoadOperations / 10;
  const TempDir dir;
  make_file(dir.path("swap"), kSwapBytes);
  const auto done = run_guest(dir.path("swap"), verified_load(operations));
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, "kvload: " + std::to_string(operations) + " operations in"), kLoadProcesses)
      << done.output;
  EXPECT_EQ(occurrences(done.output, ", verified"), kLoadProcesses) << done.output;
}

// What a guest says of a swap disk that it cannot use, and that it goes on.
struct Unusable {
  const char* name;
  uint64_t bytes;
  const char* suffix;  // of the --disk option
  const char* swap;
  const char* line;
};

class UnusableSwap : public testing::TestWithParam<Unusable> {};

TEST_P(UnusableSwap, IsToldAndDoneWithout) {
  const TempDir dir;
  make_file(dir.path("swap"), GetParam().bytes);
  const auto done = run_guest(dir.path("swap") + GetParam().suffix, "touchmem 4 && free", GetParam().swap);
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, GetParam().line), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, "none: boot with swap="), 1) << done.output;
}

INSTANTIATE_TEST_SUITE_P(Disks, UnusableSwap,
                         testing::Values(Unusable{"ReadOnly", kSwapBytes, ",ro", "vda",
                                                  "swap: vda is read-only; going on without swap"},
                                         Unusable{"SmallerThanAPage", 2048, "", "vda",
                                                  "swap: vda has 2048 bytes, and two pages of 4096 are the least"},
                                         Unusable{"NotThere", kSwapBytes, "", "vdq",
                                                  "swap: there is no disk vdq here (1 virtio-mmio disks)"}),
                         [](const auto& disk) { return disk.param.name; });

// A file system with less room than the swap file claims. REQUIRES: root, as in the labs
class SmallFileSystem {
 public:
  explicit SmallFileSystem(const std::string& options) {
    if (::mount("tmpfs", dir_.path("").c_str(), "tmpfs", 0, options.c_str()) != 0) {
      throw std::runtime_error("cannot mount a tmpfs on " + dir_.path(""));
    }
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;
  ~SmallFileSystem() { ::umount2(dir_.path("").c_str(), MNT_DETACH); }
  [[nodiscard]] std::string path(const std::string& name) const { return dir_.path(name); }

 private:
  TempDir dir_;
};

TEST(Paging, AFullSwapFileStillTakesWhatItHasTakenBefore) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small file system";
  const SmallFileSystem full("size=12m");
  make_file(full.path("swap"), kSwapBytes);
  // 14 MiB of memory and 12 MiB of disk hold it, but only if the disk's pages are used again and again.
  const auto done = run_guest(full.path("swap"), "kvload 20 --ops 30000");
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_GE(occurrences(done.output, "swap: vda cannot write its pages"), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, ", verified"), 1) << done.output;
}

TEST(Paging, AFullSwapFileCostsTheLargestProcessItsLifeAndTheShellLives) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small file system";
  const SmallFileSystem full("size=4m");
  make_file(full.path("swap"), kSwapBytes);
  const auto done = run_guest(full.path("swap"), "memhog 40 --passes 1; touchmem 8 && echo alive");
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, "(memhog), the largest, with"), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, "\nalive"), 1) << done.output;
}

// The kernel's own pages: two entries to walk, or one.
TEST(Paging, LargePagesShortenTheWalkOfAKernelAddress) {
  for (const bool large : {false, true}) {
    const std::string name = large ? "large" : "small";
    Process shell = boot_shell(name, {"--append", large ? "pse=on" : "pse=off"});
    const auto done = run({twofold_binary(), "walk", name, "0x80101000", "--json", "--process", "sh"}, kLimit);
    const auto walk = nlohmann::json::parse(done.output, nullptr, false);
    ASSERT_TRUE(walk.is_object()) << done.output << done.errors;
    EXPECT_EQ(walk["steps"].size(), large ? 1 : 2) << done.output;
    EXPECT_EQ(walk["result"]["page_bytes"], large ? 4 << 20 : 4 << 10) << done.output;
    EXPECT_EQ(walk["result"]["gpa"], "0x101000") << done.output;
    EXPECT_EQ(walk["result"]["user"], false) << done.output;
    EXPECT_TRUE(ask(shell, "usertests heap", "11 passed, 0 failed"));
  }
}

}  // namespace
}  // namespace twofold::test
