// Merging the pages of a guest that works, with the balloon at work, too, on real KVM.
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/support/paging_load.h"
#include "tests/system/twofold_runner.h"
#include "vmm/base/size.h"

namespace twofold::test {
namespace {

using nlohmann::json;

json ask_vm(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {twofold_binary()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.emplace_back("--json");
  const auto done = run(argv, kLimit);
  EXPECT_EQ(done.status, 0) << done.errors;
  return json::parse(done.output, nullptr, false);
}

// Waits until a count of `twofold merge` is at least so high.
bool reaches(const std::string& vm, const std::string& count, uint64_t least) {
  for (int i = 0; i < 300; ++i) {
    if (ask_vm({"merge", vm})[count].get<uint64_t>() >= least) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

const std::vector<std::string> kMerging = {"--merge", "on", "--merge-rate", "0", "--merge-cpu", "100"};

// Two processes that hold the same: idle's content depends on its seed alone.
TEST(Merge, WhatTwoProcessesHaveInCommonIsKeptOnce) {
  constexpr uint64_t kCommon = 4 * MiB;
  Process shell = boot_shell("twins", kMerging);
  ASSERT_TRUE(ask(shell, "idle 4 --seconds 15 &", "holds 4 MiB")) << shell.output();
  ASSERT_TRUE(ask(shell, "idle 4 --seconds 15 &", "holds 4 MiB")) << shell.output();
  ASSERT_TRUE(reaches("twins", "saved_bytes", kCommon * 95 / 100)) << ask_vm({"merge", "twins"}).dump(1);
  const auto merging = ask_vm({"merge", "twins"});
  EXPECT_GE(merging["shared_bytes"].get<uint64_t>(), 2 * kCommon * 95 / 100) << merging.dump(1);
  EXPECT_LT(merging["pool_bytes"].get<uint64_t>(), kCommon + MiB) << merging.dump(1);
  EXPECT_LT(merging["address_space_areas"].get<uint64_t>(), 200U) << "adjacent pages are mapped together";
  // Off gives every page its own copy, and the guest does not notice.
  EXPECT_EQ(ask_vm({"merge", "twins", "off"})["state"], "off");
  for (int i = 0; i < 100 && ask_vm({"merge", "twins"})["shared_bytes"] != 0; ++i) std::this_thread::sleep_for(50ms);
  EXPECT_EQ(ask_vm({"merge", "twins"})["pool_bytes"], 0);
  EXPECT_EQ(ask_vm({"merge", "twins", "on"})["state"], "on");
  EXPECT_TRUE(reaches("twins", "saved_bytes", kCommon * 95 / 100))
      << "on again: " << ask_vm({"merge", "twins"}).dump(1);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(shell.wait_for("4 MiB unchanged", kLimit)) << shell.output();
}

TEST(Merge, AVerifiedWorkloadRunsBesideMergingAndTheBalloon) {
  Process shell = boot_shell("busy", kMerging);
  const int seconds = full_tests() ? 60 : 8;
  shell.send("kvload 8 --seconds " + std::to_string(seconds) + "\n");
  ASSERT_TRUE(shell.wait_for("values of 1024 bytes are there", kLimit)) << shell.output();
  std::mt19937 random(1);
  for (int i = 0; i < 2 * seconds; ++i) {
    const auto balloon = ask_vm({"balloon", "busy", std::to_string(random() % (16 * MiB)), "--wait"});
    ASSERT_TRUE(balloon.contains("actual_bytes")) << shell.output();
    if (i % 5 == 4) (void)ask_vm({"merge", "busy", i % 10 == 9 ? "on" : "off"});
  }
  (void)ask_vm({"balloon", "busy", "0", "--wait"});
  EXPECT_TRUE(shell.wait_for(", verified", 2 * kLimit)) << shell.output();
  EXPECT_EQ(occurrences(shell.output(), "WRONG"), 0) << shell.output();
  const auto merging = ask_vm({"merge", "busy"});
  EXPECT_GT(merging["frames_merged_total"].get<uint64_t>() + merging["zero_frames_dropped_total"].get<uint64_t>(), 100U)
      << merging.dump(1);
}

TEST(Merge, AGuestIsNotMergedUnlessItIsWanted) {
  const Process shell = boot_shell("private");
  const auto done = run({twofold_binary(), "merge", "private", "on"}, kLimit);
  EXPECT_EQ(done.status, 1);
  EXPECT_EQ(occurrences(done.errors, "--merge on"), 1) << done.errors;
  for (const std::string bad :
       {"--merge=maybe", "--merge-cpu=0", "--merge-cpu=101", "--merge-rate=x", "--merge-order=up"}) {
    const auto refused = run(run_command(guest_kernel(), {bad}), kLimit);
    EXPECT_EQ(refused.status, 2) << bad;
    EXPECT_EQ(std::count(refused.errors.begin(), refused.errors.end(), '\n'), 1) << refused.errors;
  }
}

}  // namespace
}  // namespace twofold::test
