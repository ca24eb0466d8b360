// The MP tables, read as a guest's kernel reads them; the memory map; placement.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "vmm/base/size.h"
#include "vmm/boot/memory_map.h"
#include "vmm/boot/mp_tables.h"
#include "vmm/boot/placement.h"
#include "vmm/memory/layout.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GuestMemory memory_of(uint64_t bytes) {
  return std::move(*GuestMemory::create(bytes, layout::kHole));
}

uint8_t sum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint8_t{0}, [](uint8_t total, std::byte b) {
    return static_cast<uint8_t>(total + std::to_integer<uint8_t>(b));
  });
}

struct Mp {
  std::vector<uint8_t> cpu_ids;
  int boot_cpus = 0;
  int buses = 0;
  int io_apics = 0;
  std::vector<std::pair<int, int>> irq_to_pin;
  std::vector<std::pair<int, int>> local;  // interrupt type, LINT
};

// Finds the tables by the BIOS data area's word, as guests do, and takes them apart by MP 1.4's offsets.
Mp read_mp(const GuestMemory& memory) {
  Mp mp;
  const uint64_t ebda = uint64_t{memory.read<uint16_t>(Gpa{0x40e}).value_or(0)} << 4;
  uint64_t pointer = ebda;
  while (pointer < ebda + 1024 && memory.read<uint32_t>(Gpa{pointer}) != 0x5f504d5f) pointer += 16;
  EXPECT_LT(pointer, ebda + 1024) << "no _MP_ in the EBDA";
  EXPECT_EQ(sum(memory.at(Gpa{pointer}, 16)), 0);
  const uint64_t table = memory.read<uint32_t>(Gpa{pointer + 4}).value_or(0);
  EXPECT_EQ(memory.read<uint32_t>(Gpa{table}), 0x504d4350u);  // PCMP
  const uint16_t length = memory.read<uint16_t>(Gpa{table + 4}).value_or(0);
  EXPECT_EQ(sum(memory.at(Gpa{table}, length)), 0);
  EXPECT_LE(table + length, layout::kEbda + layout::kEbdaBytes);
  EXPECT_EQ(memory.read<uint32_t>(Gpa{table + 36}), 0xfee00000u);
  const auto byte = [&](uint64_t at) { return int{memory.read<uint8_t>(Gpa{at}).value_or(0xff)}; };
  uint64_t at = table + 44;
  int previous = 0;
  for (int left = memory.read<uint16_t>(Gpa{table + 34}).value_or(0); left > 0; --left) {
    const int type = byte(at);
    EXPECT_GE(type, previous) << "entries are sorted by type";
    previous = type;
    if (type == 0) {
      mp.cpu_ids.push_back(static_cast<uint8_t>(byte(at + 1)));
      EXPECT_TRUE(byte(at + 3) & 1) << "unusable CPU";
      if (byte(at + 3) & 2) ++mp.boot_cpus;
    }
    if (type == 1) ++mp.buses;
    if (type == 2 && memory.read<uint32_t>(Gpa{at + 4}) == 0xfec00000u) ++mp.io_apics;
    if (type == 3) mp.irq_to_pin.emplace_back(byte(at + 5), byte(at + 7));
    if (type == 4) mp.local.emplace_back(byte(at + 1), byte(at + 7));
    at += type == 0 ? 20 : 8;
  }
  EXPECT_EQ(at, table + length) << "the entries fill the table";
  return mp;
}

TEST(MpTables, DescribeEveryNumberOfCpus) {
  for (uint32_t cpus = 1; cpus <= layout::kMaxCpus; ++cpus) {
    const GuestMemory memory = memory_of(2 * MiB);
    ASSERT_TRUE(write_mp_tables(memory, cpus).has_value());
    const Mp mp = read_mp(memory);
    ASSERT_EQ(mp.cpu_ids.size(), cpus);
    for (uint32_t id = 0; id < cpus; ++id) EXPECT_EQ(mp.cpu_ids[id], id);
    EXPECT_EQ(mp.boot_cpus, 1);
    EXPECT_EQ(mp.buses, 1);
    EXPECT_EQ(mp.io_apics, 1);
    EXPECT_EQ(memory.read<uint16_t>(Gpa{0x413}), 639);
  }
}

TEST(MpTables, RouteEachIsaLineToThePinOfItsNumber) {
  const GuestMemory memory = memory_of(2 * MiB);
  ASSERT_TRUE(write_mp_tables(memory, 1).has_value());
  const Mp mp = read_mp(memory);
  EXPECT_EQ(mp.irq_to_pin.size(), 15u);
  for (const auto& [irq, pin] : mp.irq_to_pin) {
    EXPECT_EQ(irq, pin);
    EXPECT_NE(irq, 2) << "the cascade";
  }
  EXPECT_THAT(mp.local, ElementsAre(std::pair(3, 0), std::pair(1, 1)));  // ExtINT on LINT0, NMI on LINT1
}

TEST(MemoryMap, AroundTheReservedPartAndTheHole) {
  using Entry = MemoryMapEntry;
  const Entry base{Gpa{0}, 0x9fc00, MemoryType::kRam};
  const Entry reserved{Gpa{0x9fc00}, 0x60400, MemoryType::kReserved};
  const Entry kvm{Gpa{0xfffbc000}, 0x4000, MemoryType::kReserved};
  EXPECT_THAT(memory_map(memory_of(64 * MiB)),
              ElementsAre(base, reserved, Entry{Gpa{1 * MiB}, 63 * MiB, MemoryType::kRam}, kvm));
  EXPECT_THAT(memory_map(memory_of(3 * GiB)),
              ElementsAre(base, reserved, Entry{Gpa{1 * MiB}, 3 * GiB - 1 * MiB, MemoryType::kRam}, kvm));
  EXPECT_THAT(memory_map(memory_of(5 * GiB)),
              ElementsAre(base, reserved, Entry{Gpa{1 * MiB}, 3 * GiB - 1 * MiB, MemoryType::kRam}, kvm,
                          Entry{Gpa{4 * GiB}, 2 * GiB, MemoryType::kRam}));
}

TEST(Placement, FindsTheHighestGap) {
  const GuestMemory memory = memory_of(16 * MiB);
  Placement placement(memory);
  ASSERT_TRUE(placement.claim("low", {Gpa{0x100000}, 0x1000}).has_value());
  ASSERT_TRUE(placement.claim("high", {Gpa{0xf00800}, 0xff800}).has_value());  // up to the end
  const Gpa limit{16 * MiB};
  EXPECT_EQ(placement.find_highest(1, Gpa{0x100000}, limit), Gpa{0xeff000});
  EXPECT_EQ(placement.find_highest(0xf00000 - 0x101000, Gpa{0x100000}, limit), Gpa{0x101000});
  EXPECT_EQ(placement.find_highest(0xf00001 - 0x101000, Gpa{0x100000}, limit), std::nullopt);
  EXPECT_EQ(placement.find_highest(~uint64_t{0}, Gpa{0x100000}, limit), std::nullopt);
  EXPECT_EQ(placement.find_highest(1, Gpa{0x100000}, Gpa{1 * GiB}), std::nullopt) << "no RAM up there";
}

TEST(Placement, NamesBothSidesOfAClash) {
  const GuestMemory memory = memory_of(16 * MiB);
  Placement placement(memory);
  ASSERT_TRUE(placement.claim("the cake", {Gpa{0x1000}, 0x1000}).has_value());
  EXPECT_TRUE(placement.claim("nothing", {Gpa{0x1800}, 0}).has_value());
  EXPECT_TRUE(placement.claim("behind", {Gpa{0x2000}, 1}).has_value());
  const auto clash = placement.claim("the eater", {Gpa{0x1fff}, 1});
  ASSERT_FALSE(clash.has_value());
  EXPECT_THAT(clash.error().message, HasSubstr("the eater at 0x1fff-0x1fff overlaps the cake at 0x1000-0x1fff"));
}

}  // namespace
}  // namespace twofold
