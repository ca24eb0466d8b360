// The VMM ended at random moments: no stray process, a terminal as it was, disk images readable.
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

constexpr int kRounds = 15;

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// How many processes run the program under test.
size_t twofold_processes() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry.path() / "exe", error);
    if (!error && target == twofold_binary()) ++count;
  }
  return count;
}

bool same_terminal(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag && a.c_lflag == b.c_lflag &&
         std::memcmp(a.c_cc, b.c_cc, sizeof a.c_cc) == 0;
}

TEST(Kill, TermRestoresTheTerminalAtAnyMoment) {
  std::mt19937 random(7);
  bool was_raw = false;
  for (int round = 0; round < kRounds; ++round) {
    termios before = {};
    Process guest(run_command(guest_kernel(), {"--initrd", guest_initrd()}), Process::Terminal::kYes);
    ASSERT_EQ(::tcgetattr(guest.terminal(), &before), 0);
    if (round % 3 == 0) {
      ASSERT_TRUE(guest.wait_for("$ ", kLimit));
      termios during = {};
      ASSERT_EQ(::tcgetattr(guest.terminal(), &during), 0);
      was_raw = was_raw || !same_terminal(before, during);
    } else {
      ::usleep(random() % 300000);
    }
    termios after = {};
    guest.signal(SIGTERM);
    const auto ending = guest.wait(kLimit);
    ASSERT_TRUE(ending) << "round " << round;
    // Only before the signals are blocked does SIGTERM simply kill.
    EXPECT_TRUE(ending->status == 106 || (ending->signal == SIGTERM && round % 3 != 0)) << "round " << round;
    ASSERT_EQ(::tcgetattr(guest.terminal(), &after), 0);
    EXPECT_TRUE(same_terminal(before, after)) << "round " << round;
  }
  EXPECT_TRUE(was_raw) << "the terminal was never raw, so nothing was restored";
  EXPECT_EQ(twofold_processes(), 0U);
}

// What an image of tests/kernels/scribble.cc says: each sector wholly of one round, earlier sectors at most one round
// ahead.
void expect_whole_sectors(const std::string& image) {
  constexpr size_t kSector = 512;
  size_t steps = 0;
  for (size_t at = 0; at < image.size(); at += kSector) {
    const std::string sector = image.substr(at, kSector);
    EXPECT_EQ(sector, std::string(kSector, sector[0])) << "sector " << at / kSector << " is torn";
    if (at == 0) continue;
    const auto behind = static_cast<uint8_t>(image[at - kSector] - sector[0]);
    EXPECT_LE(behind, 1) << "sector " << at / kSector;
    steps += behind;
  }
  EXPECT_LE(steps, 1U) << "written out of order";
}

class KillWriter : public testing::TestWithParam<int> {};

// The guest writes its disk without pause; the VMM is killed in the middle of it.
TEST_P(KillWriter, LeavesTheDiskReadableAndUnlocked) {
  const TempDir dir;
  const std::string disk = dir.path("disk");
  std::ofstream(disk) << std::string(64 * 512, '\0');
  std::mt19937 random(11);
  for (int round = 0; round < kRounds; ++round) {
    Process guest(run_command(test_kernel("scribble"), {"--disk", disk}));
    ASSERT_TRUE(guest.wait_for("!", kLimit)) << guest.errors();
    ::usleep(random() % 30000);
    guest.signal(GetParam());
    const auto ending = guest.wait(kLimit);
    ASSERT_TRUE(ending);
    EXPECT_EQ(ending->status.value_or(-1), GetParam() == SIGTERM ? 106 : -1);
    const std::string image = contents(disk);
    ASSERT_EQ(image.size(), 64U * 512U);
    EXPECT_NE(image[0], '\0') << "nothing was written, so nothing is shown";
    expect_whole_sectors(image);
  }
  EXPECT_EQ(twofold_processes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Signals, KillWriter, testing::Values(SIGKILL, SIGTERM));

TEST(Kill, Kill9LeavesNoProcessAndFreesNameAndDisk) {
  const TempDir dir;
  const std::string disk = dir.path("disk");
  std::ofstream(disk) << std::string(1 << 20, 'i');
  std::mt19937 random(9);
  for (int round = 0; round < kRounds; ++round) {
    Process guest(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--disk", disk, "--name", "victim"}));
    ::usleep(random() % 300000);
    guest.signal(SIGKILL);
    ASSERT_TRUE(guest.wait(kLimit));
  }
  EXPECT_EQ(twofold_processes(), 0U);
  const auto ps = run({twofold_binary(), "ps"}, kLimit);
  EXPECT_EQ(ps.output.find("victim"), std::string::npos) << ps.output;
  // The name and the disk can be had again.
  const auto again = run(run_command(test_kernel("first"), {"--disk", disk, "--name", "victim"}), kLimit);
  EXPECT_EQ(again.status, 33) << again.errors;
}

}  // namespace
}  // namespace twofold::test
