// Guests beside each other: what happens to one does not reach another.
#include <fmt/format.h>
#include <signal.h>

#include "tests/system/twofold_runner.h"

namespace twofold::test {
namespace {

class Guests : public testing::TestWithParam<size_t> {};

// All guests hold and verify a pattern in memory while one is killed; the others' memory and consoles stay as they
// were.
TEST_P(Guests, KillingOneLeavesTheOthersAsTheyWere) {
  const size_t count = GetParam();
  std::vector<Process> guests;
  for (size_t i = 0; i < count; ++i) guests.push_back(boot_shell(fmt::format("isolated{}", i)));
  for (size_t i = 0; i < count; ++i) {
    ASSERT_TRUE(ask(guests[i], fmt::format("echo mark-of-{}-ends", i), fmt::format("\nmark-of-{}-ends", i)))
        << guests[i].output();
    guests[i].send("touchmem 4 8\n");  // fills 4 MiB, holds them for 8 s, then reads every page again
    ASSERT_TRUE(guests[i].wait_for("verified", kLimit)) << guests[i].output();
  }

  for (const auto& guest : guests) {
    ASSERT_EQ(guest.output().find("unchanged"), std::string::npos) << "too slow: it has looked already";
  }
  guests[0].signal(SIGKILL);
  const auto ending = guests[0].wait(kLimit);
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->signal, SIGKILL);

  for (size_t i = 1; i < count; ++i) {
    EXPECT_TRUE(guests[i].wait_for("unchanged", kLimit)) << guests[i].output();
    EXPECT_TRUE(guests[i].wait_for("$ ", kLimit)) << guests[i].output();
    EXPECT_TRUE(ask(guests[i], "echo still-here-$?", "still-here-0")) << guests[i].output();
    for (size_t other = 0; other < count; ++other) {
      const bool seen = guests[i].output().find(fmt::format("mark-of-{}-", other)) != std::string::npos;
      EXPECT_EQ(seen, other == i) << "guest " << i << " and the console of guest " << other;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Count, Guests, testing::Values(2, 3, 5));

}  // namespace
}  // namespace twofold::test
