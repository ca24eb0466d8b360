#include "vmm/memory/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "guest/abi/abi.h"
#include "vmm/base/size.h"
#include "vmm/memory/layout.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

constexpr Gpa kTable{0x8000};

class Inspect : public ::testing::Test {
 protected:
  Inspect() {
    table_.magic = guest_abi::kInspectMagic;
    table_.version = guest_abi::kInspectVersion;
    table_.count = guest_abi::kMaxProcs;
    table_.entry_size = sizeof(guest_abi::InspectEntry);
  }
  void set(size_t slot, int32_t pid, uint32_t cr3, const char* name) {
    table_.entries[slot].pid = pid;
    table_.entries[slot].cr3 = cr3;
    auto& to = table_.entries[slot].name;
    std::memcpy(to, name, std::min(sizeof to, std::strlen(name)));
  }
  auto list() {
    EXPECT_TRUE(memory_.write(kTable, table_));
    return list_processes(memory_, kTable);
  }
  auto find(const char* who) {
    EXPECT_TRUE(memory_.write(kTable, table_));
    return find_process(memory_, kTable, who);
  }
  guest_abi::InspectTable table_ = {};
  GuestMemory memory_ = std::move(*GuestMemory::create(64 * KiB, layout::kHole));
};

TEST_F(Inspect, ListsUsedEntries) {
  set(0, 1, 0x100000, "init");
  set(5, 7, 0x200000, "sixteen-bytes-no-nul");
  const auto processes = list();
  ASSERT_TRUE(processes.has_value());
  ASSERT_EQ(processes->size(), 2u);
  EXPECT_EQ((*processes)[0].name, "init");
  EXPECT_EQ((*processes)[1].pid, 7);
  EXPECT_EQ((*processes)[1].cr3, 0x200000u);
  EXPECT_EQ((*processes)[1].name, "sixteen-bytes-no");
}

TEST_F(Inspect, FindsByPidAndByName) {
  set(0, 9, 0x300000, "sh");
  set(1, 2, 0x200000, "sh");
  set(2, 1, 0x100000, "init");
  EXPECT_EQ(find("1")->cr3, 0x100000u);
  EXPECT_EQ(find("9")->cr3, 0x300000u);
  EXPECT_EQ(find("sh")->pid, 2) << "the lowest pid of that name";
  for (const char* nobody : {"cat", "3", "", "1x", "99999999999"}) {
    const auto found = find(nobody);
    ASSERT_FALSE(found.has_value()) << nobody;
    EXPECT_THAT(found.error().message, HasSubstr("the guest has no process"));
    EXPECT_THAT(found.error().message, HasSubstr("it has sh(9) sh(2) init(1)"));
  }
}

TEST_F(Inspect, BelievesNothing) {
  table_.count = 0xffffffff;
  for (size_t i = 0; i < guest_abi::kMaxProcs; ++i) set(i, i % 2 == 0 ? 1 : -1, 0, "x\033[2J");
  const auto processes = list();
  ASSERT_TRUE(processes.has_value());
  EXPECT_EQ(processes->size(), guest_abi::kMaxProcs / 2);
  EXPECT_EQ(processes->front().name, "x?[2J");
}

TEST_F(Inspect, RefusesWhatIsNoTable) {
  EXPECT_THAT(list_processes(memory_, Gpa{0x4000}).error().message, HasSubstr("no table at GPA 0x4000 (magic 0x0)"));
  EXPECT_THAT(list_processes(memory_, Gpa{64 * KiB - 8}).error().message, HasSubstr("outside RAM"));
  table_.version = 2;
  EXPECT_THAT(list().error().message, HasSubstr("its table has version 2"));
  table_.version = guest_abi::kInspectVersion;
  table_.entry_size = 0;
  EXPECT_THAT(list().error().message, HasSubstr("with entries of 0 bytes"));
}

TEST_F(Inspect, ATableThatRunsOutOfRamEndsThere) {
  struct Start {
    uint32_t header[4] = {guest_abi::kInspectMagic, guest_abi::kInspectVersion, 64, sizeof(guest_abi::InspectEntry)};
    guest_abi::InspectEntry entry = {3, 0x1000, "last"};
  } start;
  const Gpa at{64 * KiB - sizeof start};
  ASSERT_TRUE(memory_.write(at, start));
  const auto processes = list_processes(memory_, at);
  ASSERT_TRUE(processes.has_value());
  EXPECT_EQ(processes->size(), 1u);
}

}  // namespace
}  // namespace twofold
