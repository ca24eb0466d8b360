// The console in both directions.
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

TEST(Console, PipedInputIsNotLostHoweverLong) {
  Process shell = boot_shell("piped");
  std::string script;
  for (int i = 0; i < 100; ++i) script += "echo line-" + std::to_string(i) + "-" + std::to_string(i * i) + "\n";
  shell.send(script);
  for (int i = 0; i < 100; ++i) {
    // What is typed ahead is echoed at once; only an answer is followed by the next prompt.
    const auto expected = "line-" + std::to_string(i) + "-" + std::to_string(i * i) + "\r\n$ ";
    ASSERT_TRUE(shell.wait_for(expected, kLimit)) << i << "\n" << shell.output();
  }
}

TEST(Console, EndOfInputEndsNothing) {
  Process guest(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--append", "run=\"sleep 1; echo woke\""}));
  guest.close_input();
  EXPECT_TRUE(guest.wait_for("woke", kLimit)) << guest.output();
  const auto ending = guest.wait(kLimit);
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->status, 33);
}

TEST(Console, ScriptFromARegularFile) {
  const TempDir dir;
  std::ofstream(dir.path("script")) << "echo from-a-file\nhalt\n";
  const auto done =
      run({"/bin/sh", "-c",
           twofold_binary() + " run " + guest_kernel() + " --initrd " + guest_initrd() + " < " + dir.path("script")},
          kLimit);
  EXPECT_NE(done.output.find("$ from-a-file"), std::string::npos) << done.output;
  EXPECT_EQ(done.status, 33) << "the script's last word is halt";
}

TEST(Console, ToAFile) {
  const TempDir dir;
  const auto done = run(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--append", "run=\"echo filed\"",
                                                     "--console", "file:" + dir.path("log")}),
                        kLimit);
  EXPECT_EQ(done.status, 33) << done.errors;
  EXPECT_EQ(done.output, "");
  std::ostringstream log;
  log << std::ifstream(dir.path("log")).rdbuf();
  EXPECT_NE(log.str().find("filed"), std::string::npos) << log.str();
}

// A guest that prints into a pipe which nobody reads: its vCPU waits there, and cannot be kicked out of it.
TEST(Console, AReaderThatDoesNotReadWedgesNeitherTheSocketNorTheEnd) {
  Process guest({"/bin/sh", "-c",
                 "exec " + twofold_binary() + " run " + guest_kernel() + " --initrd " + guest_initrd() +
                     " --name stalled --append 'run=\"cat /bin/usertests /bin/usertests /bin/usertests\"'"});
  ::usleep(1500000);  // nothing is read meanwhile: more than a pipe holds has been printed
  const auto walk = run({twofold_binary(), "walk", "stalled", "0x1000"}, kLimit);
  EXPECT_TRUE(walk.status == 1 || walk.status == 0) << walk.errors;
  EXPECT_EQ(run({twofold_binary(), "stop", "stalled"}, kLimit).status, 0);
  const auto ending = guest.wait(kLimit);
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->status, 106);
}

TEST(Console, StartsWithoutStdin) {
  const auto done =
      run({"/bin/sh", "-c", "exec " + twofold_binary() + " run " + test_kernel("first") + " <&-"}, kLimit);
  EXPECT_EQ(done.status, 33) << done.errors;
}

TEST(Console, TerminalEscapeQuits) {
  Process shell = boot_shell("escape", {}, Process::Terminal::kYes);
  shell.send("\x01x");
  const auto ending = shell.wait(kLimit);
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->status, 106);
}

}  // namespace
}  // namespace twofold::test
