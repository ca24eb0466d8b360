#include "vmm/devices/bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <thread>
#include <vector>

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Remembers where it was touched; reads yield `fill`.
class Recorder final : public BusDevice {
 public:
  explicit Recorder(uint8_t fill) : fill_(fill) {}
  void read(uint64_t offset, std::span<std::byte> data) override {
    offsets_.push_back(offset);
    std::ranges::fill(data, std::byte{fill_});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    offsets_.push_back(offset);
    written_.assign(data.begin(), data.end());
  }
  std::vector<uint64_t> offsets_;
  std::vector<std::byte> written_;

 private:
  uint8_t fill_;
};

uint32_t read32(Bus& bus, uint64_t address) {
  std::array<std::byte, 4> data{};
  bus.read(address, data);
  uint32_t value = 0;
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

TEST(Bus, RoutesByAddressAndHandsOverOffsets) {
  Bus bus("port");
  Recorder low(0x11);
  Recorder high(0x22);
  ASSERT_TRUE(bus.add(0x100, 8, "low", low));
  ASSERT_TRUE(bus.add(0x108, 8, "high", high));

  EXPECT_EQ(read32(bus, 0x104), 0x11111111u);
  EXPECT_EQ(read32(bus, 0x108), 0x22222222u);
  EXPECT_EQ(read32(bus, 0x10c), 0x22222222u);
  EXPECT_THAT(low.offsets_, ElementsAre(4));
  EXPECT_THAT(high.offsets_, ElementsAre(0, 4));
  EXPECT_EQ(bus.unknown_accesses(), 0u);

  const std::array data = {std::byte{1}, std::byte{2}};
  bus.write(0x107 - 1, data);
  EXPECT_THAT(low.written_, ElementsAre(std::byte{1}, std::byte{2}));
}

TEST(Bus, UnknownReadsAsOnesAndIsCounted) {
  Bus bus("mmio");
  Recorder device(0);
  ASSERT_TRUE(bus.add(0x100, 8, "device", device));

  EXPECT_EQ(read32(bus, 0x0), 0xffffffffu);
  EXPECT_EQ(read32(bus, 0xfc), 0xffffffffu);
  EXPECT_EQ(read32(bus, 0x108), 0xffffffffu);
  EXPECT_EQ(read32(bus, std::numeric_limits<uint64_t>::max()), 0xffffffffu);
  bus.write(0x200, std::array{std::byte{1}});
  EXPECT_EQ(bus.unknown_accesses(), 5u);
  EXPECT_TRUE(device.offsets_.empty());
}

TEST(Bus, AnAccessAcrossADevicesEdgeIsNobodys) {
  Bus bus("mmio");
  Recorder device(0);
  ASSERT_TRUE(bus.add(0x100, 8, "device", device));
  EXPECT_EQ(read32(bus, 0xfe), 0xffffffffu);
  EXPECT_EQ(read32(bus, 0x106), 0xffffffffu);
  EXPECT_EQ(bus.unknown_accesses(), 2u);
  EXPECT_TRUE(device.offsets_.empty());
}

TEST(Bus, RefusesOverlap) {
  Bus bus("port");
  Recorder device(0);
  ASSERT_TRUE(bus.add(0x100, 8, "first", device));
  for (const auto& [base, length] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0x100, 8}, {0xff, 2}, {0x107, 1}, {0x104, 100}, {0, 0x1000}, {0x100, 1}}) {
    const Status status = bus.add(base, length, "second", device);
    ASSERT_FALSE(status) << base;
    EXPECT_THAT(status.error().message, HasSubstr("second"));
    EXPECT_THAT(status.error().message, HasSubstr("first is there already"));
  }
  EXPECT_TRUE(bus.add(0xf8, 8, "before", device));
  EXPECT_TRUE(bus.add(0x108, 8, "after", device));
}

TEST(Bus, RefusesWhatIsNoRange) {
  Bus bus("mmio");
  Recorder device(7);
  EXPECT_FALSE(bus.add(0x100, 0, "empty", device));
  EXPECT_FALSE(bus.add(std::numeric_limits<uint64_t>::max(), 2, "wraps", device));
  // The very last bytes are a range.
  ASSERT_TRUE(bus.add(std::numeric_limits<uint64_t>::max() - 3, 4, "top", device));
  EXPECT_EQ(read32(bus, std::numeric_limits<uint64_t>::max() - 3), 0x07070707u);
}

TEST(Bus, CountsFromManyThreads) {
  Bus bus("mmio");
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&bus, i] {
      for (uint64_t n = 0; n < 1000; ++n) read32(bus, n * 8 + static_cast<uint64_t>(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bus.unknown_accesses(), 4000u);
}

}  // namespace
}  // namespace twofold
