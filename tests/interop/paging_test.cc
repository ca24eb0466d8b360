// The guest pages on QEMU's virtio-blk: the same load as on ours, and a disk that fails where it is told to (blkdebug).
#include <gtest/gtest.h>

#include <string>

#include "tests/interop/qemu_guest.h"
#include "tests/support/paging_load.h"

namespace twofold::test {
namespace {

Finished run_guest(const SwapDisk& disk, const std::string& command, const std::string& options = "") {
  return run(qemu_command(disk, "16M", options + " run=\"" + command + "\""), kLimit);
}

TEST(Paging, FourProcessesOfTwiceTheMemoryFindEveryByteInAMillionOperations) {
  const SwapDisk disk;
  const auto done = run_guest(disk, verified_load(kLoadOperations));
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, "kvload: 250000 operations in"), kLoadProcesses) << done.output;
  EXPECT_EQ(occurrences(done.output, ", verified"), kLoadProcesses) << done.output;
}

// By the time that two such processes have their memory, the first thousands of the disk's pages are theirs.
TEST(Paging, ALostPageEndsTheProcessThatTouchesItAndNobodyElse) {
  SwapDisk disk;
  disk.fail("read", 1500);
  const auto done = run_guest(disk, "idle 14 --seconds 2 & idle 14 --seconds 2 & wait; touchmem 12 && echo alive");
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, "swap: vda cannot read its page 1500: what was in it is lost"), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, ": the swap disk cannot give the page back"), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, "idle: 14 MiB unchanged after 2 s, verified"), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, "\nalive"), 1) << done.output;
}

TEST(Paging, PagesThatCannotBeWrittenStayInMemory) {
  SwapDisk disk;
  for (uint32_t page = 100; page < 1500; page += 100) disk.fail("write", page);
  const auto done = run_guest(disk, "kvload 20 --ops 20000");
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_GE(occurrences(done.output, "swap: vda cannot write its pages"), 4) << done.output;
  EXPECT_EQ(occurrences(done.output, ", verified"), 1) << done.output;
}

// Nothing can be paged out: the process that wants more than there is goes, and the shell lives on.
TEST(Paging, ADiskThatTakesNothingCostsTheLargestProcessItsLife) {
  SwapDisk disk;
  disk.fail_all("write");
  const auto done = run_guest(disk, "memhog 20 --passes 1; touchmem 8 && echo alive");
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, "(memhog), the largest, with"), 1) << done.output;
  EXPECT_EQ(occurrences(done.output, "swap: vda cannot write its pages"), 8)
      << "no more lines than that" << done.output;
  EXPECT_EQ(occurrences(done.output, "\nalive"), 1) << done.output;
}

// Of the same operations on the same values: the choice of keys is Zipf's, so some pages are worth keeping.
int major_faults_with(const std::string& policy, int seed) {
  const SwapDisk disk;
  const auto done = run_guest(disk, "kvload 24 --ops 100000 --seed " + std::to_string(seed), "policy=" + policy);
  EXPECT_EQ(done.status, kPassed) << done.output << done.errors;
  EXPECT_EQ(occurrences(done.output, "victims by " + policy), 1) << done.output;
  const size_t end = done.output.find(" major faults, verified");
  if (end == std::string::npos) return 0;
  return std::stoi(done.output.substr(done.output.rfind(' ', end - 1) + 1));
}

TEST(Paging, SecondChanceKeepsWhatIsUsed) {
  for (const int seed : {1, 2}) {
    const int clock = major_faults_with("clock", seed);
    const int random = major_faults_with("random", seed);
    const int fifo = major_faults_with("fifo", seed);
    RecordProperty("seed_" + std::to_string(seed), std::to_string(clock) + " clock, " + std::to_string(random) +
                                                       " random, " + std::to_string(fifo) + " fifo");
    ASSERT_GT(clock, 0);
    EXPECT_LT(clock, random);
    EXPECT_LT(clock, fifo);
  }
}

}  // namespace
}  // namespace twofold::test
