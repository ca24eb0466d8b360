#include "vmm/machine/stop_reason.h"

#include <gtest/gtest.h>

#include <set>

namespace twofold {
namespace {

TEST(StopReason, VerdictsFollowQemusDebugExit) {
  EXPECT_EQ(exit_status_of({StopKind::kVerdict, 0, ""}), 1);
  EXPECT_EQ(exit_status_of({StopKind::kVerdict, 0x10, ""}), 33);
  EXPECT_EQ(exit_status_of({StopKind::kVerdict, 0x7f, ""}), 255);
  EXPECT_EQ(exit_status_of({StopKind::kVerdict, 0x80, ""}), 1) << "cut to 8 bits, as a process's status is";
  EXPECT_EQ(exit_status_of({StopKind::kVerdict, 0xffffffff, ""}), 255);
}

TEST(StopReason, OwnStatusesAreEvenSoThatNoVerdictCanEqualThem) {
  std::set<int> seen;
  for (const auto kind :
       {StopKind::kTripleFault, StopKind::kInternalError, StopKind::kUnknownExit, StopKind::kRequested}) {
    const int status = exit_status_of({kind, 0, "why"});
    EXPECT_EQ(status % 2, 0);
    EXPECT_TRUE(status > 0 && status < 128) << "above 128 shells mean signals";
    EXPECT_TRUE(seen.insert(status).second);
    EXPECT_FALSE(describe({kind, 0, "why"}).find("why") == std::string::npos);
  }
}

}  // namespace
}  // namespace twofold
