#include "vmm/devices/debug_exit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "tests/unit/devices/fakes.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using testing::in8;
using testing::out8;

TEST(DebugExit, HandsOverTheFirstValueOnly) {
  std::vector<uint32_t> values;
  DebugExit port([&](uint32_t value) { values.push_back(value); });
  out8(port, 0, 0x10);
  out8(port, 0, 0x11);
  EXPECT_THAT(values, ElementsAre(0x10));
}

TEST(DebugExit, TakesEachWidth) {
  const std::array<std::byte, 4> data = {std::byte{0x78}, std::byte{0x56}, std::byte{0x34}, std::byte{0x12}};
  std::vector<uint32_t> values;
  for (const size_t width : {1, 2, 4}) {
    DebugExit port([&](uint32_t value) { values.push_back(value); });
    port.write(0, std::span(data).first(width));
  }
  EXPECT_THAT(values, ElementsAre(0x78, 0x5678, 0x12345678));
}

TEST(DebugExit, ReadsAndOtherOffsetsDoNothing) {
  int calls = 0;
  DebugExit port([&](uint32_t) { ++calls; });
  EXPECT_EQ(in8(port, 0), 0);
  out8(port, 1, 0x10);
  EXPECT_EQ(calls, 0);
  out8(port, 0, 0);
  EXPECT_EQ(calls, 1);
}

TEST(DebugExit, ManyVcpusEndTheMachineOnce) {
  std::atomic<int> calls{0};
  DebugExit port([&](uint32_t) { ++calls; });
  std::vector<std::thread> vcpus;
  vcpus.reserve(8);
  for (int i = 0; i < 8; ++i) vcpus.emplace_back([&port] { out8(port, 0, 1); });
  for (std::thread& vcpu : vcpus) vcpu.join();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace twofold
