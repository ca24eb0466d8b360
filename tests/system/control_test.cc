// The control socket and the commands that talk to it, against a guest that runs.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

nlohmann::json json_of(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {twofold_binary()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto done = run(argv, kLimit);
  EXPECT_EQ(done.status, 0) << done.errors;
  return nlohmann::json::parse(done.output, nullptr, false);
}

Finished twofold(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {twofold_binary()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, kLimit);
}

TEST(Control, PsListsWhatRunsAndNothingElse) {
  {
    const Process one = boot_shell("list-one");
    const Process two = boot_shell("list-two");
    const auto text = twofold({"ps"}).output;
    EXPECT_NE(text.find("list-one"), std::string::npos) << text;
    EXPECT_NE(text.find("list-two"), std::string::npos) << text;
  }
  const auto text = twofold({"ps"}).output;
  EXPECT_EQ(text.find("list-"), std::string::npos) << text;
}

TEST(Control, OneNameIsOneVm) {
  const Process first = boot_shell("single");
  const auto second = run(run_command(test_kernel("first"), {"--name", "single"}), kLimit);
  EXPECT_EQ(second.status, 2);
  EXPECT_NE(second.errors.find("single"), std::string::npos) << second.errors;
}

TEST(Control, APausedGuestMakesNoProgressAndGoesOnAfterwards) {
  Process shell = boot_shell("pausing");
  EXPECT_EQ(twofold({"pause", "pausing"}).status, 0);
  shell.send("echo while-$?-paused\n");
  EXPECT_FALSE(shell.wait_for("\nwhile-0-paused", 1s));
  EXPECT_EQ(twofold({"resume", "pausing"}).status, 0);
  EXPECT_TRUE(shell.wait_for("\nwhile-0-paused", kLimit)) << shell.output();
}

TEST(Control, StopEndsEvenASpinningGuest) {
  Process spinning(run_command(test_kernel("spin"), {"--name", "spinner", "--cpus", "2"}));
  ASSERT_TRUE(spinning.wait_for("!", kLimit));
  EXPECT_EQ(twofold({"stop", "spinner"}).status, 0);
  const auto ending = spinning.wait(kLimit);
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->status, 106);
}

// The address of the text this project implements, in a process of our guest: two entries to the page, 14 references.
TEST(Control, WalkFindsThePageOfAProcess) {
  Process shell = boot_shell("walked");
  shell.send("touchmem 1 60 &\n");
  ASSERT_TRUE(shell.wait_for("verified", kLimit)) << shell.output();
  const auto walk = json_of({"walk", "walked", "0x5123", "--process", "touchmem", "--json"});
  ASSERT_TRUE(walk.is_object());
  EXPECT_EQ(walk["gva"], "0x5123") << walk.dump(1);
  ASSERT_TRUE(walk["result"]["gpa"].is_string()) << walk.dump(1);
  const std::string gpa = walk["result"]["gpa"];
  EXPECT_EQ(gpa.substr(gpa.size() - 3), "123") << "the offset in the page stays as it is";
  EXPECT_EQ(walk["references"]["guest_levels"], 2);
  // 14 with 4 KiB pages of the host throughout, a reference less for each of the three that lies in a 2 MiB one.
  EXPECT_GE(walk["references"]["this_walk"], 11) << walk.dump(1);
  EXPECT_LE(walk["references"]["this_walk"], 14) << walk.dump(1);
  EXPECT_EQ(walk["result"]["host"]["state"], "present") << walk.dump(1);
  const auto text = twofold({"walk", "walked", "0x5123", "--process", "touchmem"});
  EXPECT_EQ(text.status, 0);
  for (const char* word : {"CR3", "PDE", "PTE", "GPA", "HVA"}) {
    EXPECT_NE(text.output.find(word), std::string::npos) << word << " in:\n" << text.output;
  }
}

TEST(Control, WalkNamesTheFault) {
  const Process shell = boot_shell("faulty");
  const auto null = twofold({"walk", "faulty", "0x0", "--process", "sh"});
  EXPECT_EQ(null.status, 0) << null.errors;
  EXPECT_NE(null.output.find("not present"), std::string::npos) << null.output;
  EXPECT_EQ(twofold({"walk", "faulty", "0x0", "--process", "nobody"}).status, 1);
  EXPECT_EQ(twofold({"walk", "faulty", "zero"}).status, 2);
  EXPECT_EQ(twofold({"walk", "no-such-vm", "0x0"}).status, 1);
}

TEST(Control, TheSocketIsItsOwnersAlone) {
  const Process shell = boot_shell("private");
  struct stat info = {};
  const std::string socket = std::string(::getenv("XDG_RUNTIME_DIR")) + "/twofold/private.sock";
  ASSERT_EQ(::stat(socket.c_str(), &info), 0) << socket;
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

}  // namespace
}  // namespace twofold::test
