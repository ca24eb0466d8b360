// The guest kernel's guards, made to act: each ends the guest as docs/guest.md says.
#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

constexpr int kPanic = 37;

struct Death {
  const char* word;
  int status;
};

class Guard : public testing::TestWithParam<Death> {};

TEST_P(Guard, EndsTheGuest) {
  const auto done =
      run(run_command(guest_kernel(), {"--initrd", guest_initrd(), "--append", std::string("die=") + GetParam().word}),
          kLimit);
  EXPECT_EQ(done.status, GetParam().status) << done.output << done.errors;
}

INSTANTIATE_TEST_SUITE_P(Words, Guard,
                         testing::Values(Death{"panic", kPanic}, Death{"fault", kPanic}, Death{"twice-freed", kPanic},
                                         Death{"stack", kPanic}, Death{"triple-fault", 100}),
                         [](const auto& death) {
                           std::string name = death.param.word;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Guard, AKilledProcessIsNamedWithItsAddressAndFlags) {
  const auto done = run(
      run_command(guest_kernel(), {"--initrd", guest_initrd(), "--append", "run=\"usertests protection\""}), kLimit);
  EXPECT_EQ(done.status, 33) << done.output;
  EXPECT_NE(done.output.find("(usertests): killed: page fault at 0x80100000"), std::string::npos) << done.output;
}

}  // namespace
}  // namespace twofold::test
