#include "vmm/devices/escape_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace twofold {
namespace {

std::string pass(EscapeFilter& filter, std::string keys) {
  keys.resize(filter.filter(keys));
  return keys;
}

TEST(EscapeFilter, LetsOrdinaryKeysThrough) {
  EscapeFilter filter;
  EXPECT_EQ(pass(filter, "ls | x\r\x03\x1b[A"), "ls | x\r\x03\x1b[A");
  EXPECT_FALSE(filter.quit());
}

TEST(EscapeFilter, CtrlAThenXQuits) {
  EscapeFilter filter;
  EXPECT_EQ(pass(filter, "ab\x01xcd"), "ab");
  EXPECT_TRUE(filter.quit());
  EXPECT_EQ(pass(filter, "more"), "") << "nothing reaches the guest after the quitting key";
}

TEST(EscapeFilter, CtrlATwiceSendsOne) {
  EscapeFilter filter;
  EXPECT_EQ(pass(filter, "a\x01\x01x"), "a\x01x");
  EXPECT_FALSE(filter.quit());
}

TEST(EscapeFilter, OtherKeysAfterCtrlAAreSwallowed) {
  EscapeFilter filter;
  EXPECT_EQ(pass(filter, "a\x01zx"), "ax");
  EXPECT_FALSE(filter.quit());
}

TEST(EscapeFilter, RemembersCtrlAFromOneReadToTheNext) {
  EscapeFilter filter;
  EXPECT_EQ(pass(filter, "a\x01"), "a");
  EXPECT_EQ(pass(filter, ""), "");
  EXPECT_EQ(pass(filter, "x"), "");
  EXPECT_TRUE(filter.quit());
}

TEST(EscapeFilter, AnEscapedCtrlADoesNotStartAnEscape) {
  EscapeFilter filter;
  EXPECT_EQ(pass(filter, "\x01\x01\x01\x01x"), "\x01\x01x");
  EXPECT_FALSE(filter.quit());
}

}  // namespace
}  // namespace twofold
