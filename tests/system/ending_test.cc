// Each way a guest can end has its own exit status.
#include <signal.h>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

TEST(Ending, VerdictOfTheGuest) {
  const auto done = run(run_command(test_kernel("first")), kLimit);
  EXPECT_EQ(done.status, 33) << done.errors;
}

TEST(Ending, TripleFault) {
  const auto done = run(run_command(test_kernel("triple")), kLimit);
  EXPECT_EQ(done.status, 100);
  EXPECT_NE(done.errors.find("triple fault"), std::string::npos) << done.errors;
}

TEST(Ending, WhatKvmCannotDoIsShownWithRegistersAndWalk) {
  const auto done = run(run_command(test_kernel("emulation")), kLimit);
  EXPECT_EQ(done.status, 102) << done.errors;
  EXPECT_NE(done.errors.find("KVM_EXIT_INTERNAL_ERROR"), std::string::npos) << done.errors;
  EXPECT_NE(done.errors.find("d8000000"), std::string::npos) << "RIP is missing:\n" << done.errors;
  EXPECT_NE(done.errors.find("dead"), std::string::npos) << "RBX is missing:\n" << done.errors;
}

TEST(Ending, MultibootKernelBootsWithItsNameFirstOnTheCommandLine) {
  const auto done =
      run(run_command(test_kernel("multiboot"), {"--append", "colour=blue  two", "--balloon", "off"}), kLimit);
  EXPECT_EQ(done.status, 33) << done.errors;
  EXPECT_EQ(done.output, test_kernel("multiboot") + " colour=blue  two\n");
}

class Smp : public testing::TestWithParam<int> {};

TEST_P(Smp, EveryCpuAnswersInitAndSipi) {
  const auto done = run(run_command(test_kernel("smp"), {"--cpus", std::to_string(GetParam())}), kLimit);
  EXPECT_EQ(done.status, ((GetParam() - 1) << 1) | 1) << done.errors;
}

INSTANTIATE_TEST_SUITE_P(Cpus, Smp, testing::Values(1, 2, 8));

TEST(Ending, SignalsStopASpinningGuest) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Process spinning(run_command(test_kernel("spin"), {"--cpus", "2"}));
    ASSERT_TRUE(spinning.wait_for("!", kLimit));
    spinning.signal(signal);
    const auto ending = spinning.wait(kLimit);
    ASSERT_TRUE(ending) << "signal " << signal << " did not end it";
    EXPECT_EQ(ending->status, 106);
    EXPECT_EQ(ending->signal, std::nullopt);
  }
}

TEST(Ending, UsertestsPass) {
  const auto done =
      run(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--append", "run=\"usertests core\""}), kLimit * 3);
  EXPECT_EQ(done.status, 33) << done.output << done.errors;
  EXPECT_NE(done.output.find(" passed, 0 failed"), std::string::npos) << done.output;
}

TEST(Ending, AFailedRunIsTold) {
  const auto done =
      run(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--append", "run=\"cat /missing\""}), kLimit);
  EXPECT_EQ(done.status, 35) << done.output;
}

}  // namespace
}  // namespace twofold::test
