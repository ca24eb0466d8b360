// Bad input costs one line on stderr and a status of 2; nothing is started.
#include <algorithm>
#include <fstream>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

void expect_refused(const std::vector<std::string>& argv, const std::vector<std::string>& words) {
  const auto done = run(argv, kLimit);
  EXPECT_EQ(done.status, 2) << done.errors;
  EXPECT_EQ(done.output, "");
  EXPECT_EQ(std::count(done.errors.begin(), done.errors.end(), '\n'), 1) << done.errors;
  for (const auto& word : words) EXPECT_NE(done.errors.find(word), std::string::npos) << word << " in: " << done.errors;
}

TEST(Input, KernelFiles) {
  const TempDir dir;
  std::ofstream(dir.path("text")) << "#!/bin/sh\n";
  std::ofstream(dir.path("empty"));
  expect_refused(run_command(dir.path("missing")), {"missing", "No such file"});
  expect_refused(run_command(dir.path("text")), {"text", "ELF"});
  expect_refused(run_command(dir.path("empty")), {"empty"});
  expect_refused(run_command(twofold_binary()), {"64-bit"});
}

TEST(Input, Numbers) {
  const auto kernel = test_kernel("first");
  expect_refused(run_command(kernel, {"--memory", "0"}), {"memory"});
  expect_refused(run_command(kernel, {"--memory", "64X"}), {"64X"});
  expect_refused(run_command(kernel, {"--memory", "-1"}), {});
  expect_refused(run_command(kernel, {"--cpus", "0"}), {"cpus"});
  expect_refused(run_command(kernel, {"--cpus", "9"}), {"cpus"});
  expect_refused(run_command(kernel, {"--memory", "512K"}), {"first.elf"});
}

TEST(Input, OtherFiles) {
  const TempDir dir;
  const auto kernel = test_kernel("first");
  std::ofstream(dir.path("odd")) << "not a whole sector";
  expect_refused(run_command(kernel, {"--initrd", dir.path("none")}), {"none", "No such file"});
  expect_refused(run_command(kernel, {"--disk", dir.path("none")}), {"none", "No such file"});
  expect_refused(run_command(kernel, {"--disk", dir.path("odd")}), {"odd", "512"});
  expect_refused(run_command(kernel, {"--console", "file:/nonexistent/x"}), {"/nonexistent/x"});
  expect_refused(run_command(kernel, {"--console", "carrier-pigeon"}), {"carrier-pigeon"});
  expect_refused(run_command(kernel, {"--name", "../up"}), {"../up"});
}

TEST(Input, OneDiskIsNotGivenToTwoWriters) {
  const TempDir dir;
  std::ofstream(dir.path("disk")) << std::string(4096, 'd');
  Process first(run_command(test_kernel("spin"), {"--disk", dir.path("disk")}));
  ASSERT_TRUE(first.wait_for("!", kLimit));
  expect_refused(run_command(test_kernel("first"), {"--disk", dir.path("disk")}), {"disk"});
}

TEST(Input, Usage) {
  expect_refused({twofold_binary(), "fly"}, {"fly"});
  expect_refused({twofold_binary(), "run"}, {});
  const auto help = run({twofold_binary(), "run", "--help"}, kLimit);
  EXPECT_EQ(help.status, 0);
  for (const char* word : {"--memory", "--cpus", "--initrd", "--append", "--disk", "--name", "--console", "--stats"}) {
    EXPECT_NE(help.output.find(word), std::string::npos) << word;
  }
}

}  // namespace
}  // namespace twofold::test
