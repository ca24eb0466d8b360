#include "vmm/memory/walk_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "vmm/base/size.h"
#include "vmm/memory/layout.h"

namespace twofold {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// The walk of GVA 0x5123 that docs/walk.md explains, put together by hand: no memory, no host.
TwoDimensionalWalk example() {
  TwoDimensionalWalk walk;
  walk.guest.gva = Gva{0x5123};
  walk.guest.paging = {uint64_t{1} << 31, 0x3ff000, 1 << 4, 0};
  walk.guest.mode = PagingMode::kTwoLevel;
  EntryFlags flags;
  flags.present = flags.writable = flags.user = flags.accessed = true;
  walk.guest.steps.push_back({EntryKind::kPde, 0, Gpa{0x3ff000}, 0x3fe027, flags, true, Gpa{0x3fe000}});
  flags.dirty = true;
  walk.guest.steps.push_back({EntryKind::kPte, 5, Gpa{0x3fe014}, 0x3fd067, flags, true, Gpa{0x3fd000}});
  walk.guest.gpa = Gpa{0x3fd123};
  walk.guest.page_bytes = kPageSize;
  walk.guest.writable = walk.guest.user = walk.guest.executable = true;
  for (const uint64_t gpa : {0x3ff000, 0x3fe014, 0x3fd123}) {
    HostTranslation host;
    host.gpa = Gpa{gpa};
    host.hva = 0x7f5a40000000 + gpa;
    host.page.backing = Backing::kPresent;
    host.page.pfn = 0x12a000 + (gpa >> kPageShift);
    host.page.mapping_bytes = kPageSize;
    walk.host.push_back(host);
  }
  return walk;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

size_t columns(const std::string& line) {
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

TEST(WalkText, TheExampleOfTheDocumentation) {
  json walk = walk_to_json(example());
  walk["vm"] = "alpha";
  walk["process"] = {{"pid", 3}, {"name", "sh"}};
  EXPECT_EQ(walk_text(walk), R"(GVA 0x00005123 of sh (pid 3) in alpha: 32-bit paging, two levels

   31        22 21        12 11           0
  ┌────────────┬────────────┬──────────────┐
  │ 0000000000 │ 0000000101 │ 000100100011 │
  └────────────┴────────────┴──────────────┘
      PDE[0]       PTE[5]     offset 0x123

             1st dimension:      2nd dimension: the VMM's memory behind the guest's,
             the guest's tables  and the host's pages behind that
  CR3        0x003ff000
  PDE[0]     GPA 0x003ff000  ─▶ HVA 0x7f5a403ff000 ─▶ HPA 0x12a3ff000   4 KiB page
             holds 0x003fe027: table at GPA 0x003fe000, present writable user accessed
  PTE[5]     GPA 0x003fe014  ─▶ HVA 0x7f5a403fe014 ─▶ HPA 0x12a3fe014   4 KiB page
             holds 0x003fd067: page at GPA 0x003fd000, present writable user accessed dirty
  the byte   GPA 0x003fd123  ─▶ HVA 0x7f5a403fd123 ─▶ HPA 0x12a3fd123   4 KiB page
             4 KiB page of the guest: user and kernel may read, write, execute

  Memory references, nothing cached: 14 = PDE 4+1, PTE 4+1, byte 4
  n guest levels over m nested ones take (n+1)(m+1)-1; a large page saves a level:
                          host 4 KiB    host 2 MiB
  guest 4 KiB                     14            11
  guest 4 MiB                      9             7
)");
}

TEST(WalkJson, TheExample) {
  const json walk = walk_to_json(example());
  EXPECT_EQ(walk["gva"], "0x5123");
  EXPECT_EQ(walk["paging"]["mode"], "two-level");
  EXPECT_EQ(walk["paging"]["cr3"], "0x3ff000");
  ASSERT_EQ(walk["steps"].size(), 2u);
  EXPECT_EQ(walk["steps"][0]["name"], "PDE");
  EXPECT_EQ(walk["steps"][1]["index"], 5);
  EXPECT_EQ(walk["steps"][1]["value"], "0x3fd067");
  EXPECT_EQ(walk["steps"][1]["flags"], json({"present", "writable", "user", "accessed", "dirty"}));
  EXPECT_EQ(walk["steps"][1]["host"]["hpa"], "0x12a3fe014");
  EXPECT_EQ(walk["result"]["gpa"], "0x3fd123");
  EXPECT_EQ(walk["fault"], nullptr);
  EXPECT_EQ(walk["references"]["this_walk"], 14);
  EXPECT_EQ(walk["references"]["by_page_size"].size(), 4u);
  EXPECT_EQ(walk["split"][2], (json{{"name", "offset"}, {"high_bit", 11}, {"low_bit", 0}, {"value", 0x123}}));
}

TEST(WalkText, SaysWhatIsNotThere) {
  TwoDimensionalWalk walk = example();
  walk.host[0].page.pfn.reset();
  walk.host[1].page = HostPage{};
  walk.host[1].page.backing = Backing::kSwapped;
  walk.host[2].page = HostPage{};
  walk.host[2].page.backing = Backing::kNotBacked;
  const std::string text = walk_text(walk_to_json(walk));
  EXPECT_THAT(text, HasSubstr("HPA (root only)"));
  EXPECT_THAT(text, HasSubstr("no HPA:           swapped out by the host"));
  EXPECT_THAT(text, HasSubstr("no HPA:           no page yet"));
}

TEST(WalkText, SharedZeroAndHugePages) {
  TwoDimensionalWalk walk = example();
  walk.host[0].page.mapping_bytes = 2 * MiB;
  walk.host[0].nested_page_bytes = 2 * MiB;
  walk.host[1].page.file_or_shared = true;
  walk.host[2].page.zero_page = true;
  const std::string text = walk_text(walk_to_json(walk));
  EXPECT_THAT(text, HasSubstr("2 MiB page\n"));
  EXPECT_THAT(text, HasSubstr("4 KiB page, shared\n"));
  EXPECT_THAT(text, HasSubstr("4 KiB page, zeros\n"));
  EXPECT_THAT(text, HasSubstr("nothing cached: 13 = PDE 3+1, PTE 4+1, byte 4\n"));
}

TEST(WalkText, KernelPagesAndFaults) {
  TwoDimensionalWalk walk = example();
  walk.guest.steps[1].flags = EntryFlags{};
  walk.guest.steps[1].raw = 0;
  walk.guest.steps[1].target.reset();
  walk.guest.steps[0].flags.user = false;
  walk.guest.gpa.reset();
  walk.guest.fault = WalkFault::kEntryNotPresent;
  walk.host.pop_back();
  const std::string text = walk_text(walk_to_json(walk));
  EXPECT_THAT(text, HasSubstr("present writable accessed kernel-only\n"));
  EXPECT_THAT(text, HasSubstr("holds 0x00000000: not present\n"));
  EXPECT_THAT(text, HasSubstr("\n  pte-not-present: page not present: P is clear in the PTE"));
  EXPECT_THAT(text, HasSubstr("nothing cached: 10 up to the fault = PDE 4+1, PTE 4+1\n"));
  EXPECT_THAT(text, Not(HasSubstr("the byte")));
}

TEST(WalkText, StaysWithinAHundredColumns) {
  TwoDimensionalWalk walk = example();
  walk.guest.mode = PagingMode::kFourLevel;
  walk.guest.gva = Gva{0xffffffff80605123};
  walk.guest.steps.clear();
  walk.host.clear();
  EntryFlags all{true, true, true, true, true, true, true, true, true, true, 7};
  for (const EntryKind kind : {EntryKind::kPml4e, EntryKind::kPdpte, EntryKind::kPde, EntryKind::kPte}) {
    walk.guest.steps.push_back({kind, 511, Gpa{0x1fffffff8}, ~uint64_t{0}, all, true, Gpa{0x1fffff000}});
    if (kind != EntryKind::kPte) walk.guest.steps.back().flags.large = false;
  }
  for (int i = 0; i < 5; ++i) {
    HostTranslation host;
    host.hva = 0x7fffffffffff;
    host.page.backing = Backing::kPresent;
    host.page.pfn = 0xfffffffff;
    host.page.mapping_bytes = kPageSize;
    host.page.file_or_shared = host.page.zero_page = true;
    walk.host.push_back(host);
  }
  for (const std::string& line : lines_of(walk_text(walk_to_json(walk)))) EXPECT_LE(columns(line), 100u) << line;
}

TEST(WalkText, PagingOff) {
  TwoDimensionalWalk walk = example();
  walk.guest.mode = PagingMode::kOff;
  walk.guest.steps.clear();
  walk.guest.page_bytes = 0;
  walk.host.erase(walk.host.begin(), walk.host.begin() + 2);
  const std::string text = walk_text(walk_to_json(walk));
  EXPECT_THAT(text, HasSubstr("paging is off: GPA = GVA"));
  EXPECT_THAT(text, HasSubstr("nothing cached: 4 = byte 4\n"));
}

// What another process sends is not to be trusted to have the right shape.
TEST(WalkText, NeverThrowsOnForeignJson) {
  for (const char* text : {"null", "1", "\"x\"", "[]", "{}", R"({"gva":1,"paging":[],"split":5,"steps":"x"})",
                           R"({"split":[{"high_bit":5,"low_bit":9,"value":1},3],"steps":{"a":1}})",
                           R"({"split":[{"high_bit":99999999999,"low_bit":0,"value":1,"name":"PDE"}]})",
                           R"({"steps":[1,null,{"flags":[1,"a"],"host":4,"value":"0xzz","target":"q","index":-1}]})",
                           R"({"result":{"gpa":[],"host":null,"page_bytes":-5},"fault":{"name":5},"process":{}})",
                           R"({"references":{"by_page_size":[1,2,3],"this_walk":{}},"fault":{}})"}) {
    EXPECT_NO_THROW(walk_text(json::parse(text))) << text;
  }
}

}  // namespace
}  // namespace twofold
