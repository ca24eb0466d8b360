#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/cli/run_options.h"
#include "vmm/cli/table.h"
#include "vmm/control/numbers.h"

namespace twofold::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(RunOptions, Defaults) {
  RunArguments arguments;
  arguments.kernel = "k.elf";
  const auto options = to_run_options(arguments);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->kernel, "k.elf");
  EXPECT_EQ(options->memory_bytes, 64 * MiB);
  EXPECT_EQ(options->cpus, 1U);
  EXPECT_EQ(options->console.kind, ConsoleKind::kStdio);
  EXPECT_TRUE(options->disks.empty());
  EXPECT_EQ(options->name, "");
}

TEST(RunOptions, EverythingGiven) {
  RunArguments arguments;
  arguments.kernel = "k.elf";
  arguments.memory = "1G";
  arguments.cpus = "4";
  arguments.initrd = "root.cpio";
  arguments.append = "quiet x=1";
  arguments.disks = {"a.img", "b.img,ro", "odd,name", "c,ro,ro"};
  arguments.name = "a";
  arguments.console = "file:/tmp/out";
  arguments.stats = "s.json";
  const auto options = to_run_options(arguments);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->memory_bytes, GiB);
  EXPECT_EQ(options->cpus, 4U);
  EXPECT_EQ(options->initrd, "root.cpio");
  EXPECT_EQ(options->append, "quiet x=1");
  ASSERT_EQ(options->disks.size(), 4U);
  EXPECT_EQ(options->disks[0].path, "a.img");
  EXPECT_FALSE(options->disks[0].read_only);
  EXPECT_EQ(options->disks[1].path, "b.img");
  EXPECT_TRUE(options->disks[1].read_only);
  EXPECT_EQ(options->disks[2].path, "odd,name");
  EXPECT_EQ(options->disks[3].path, "c,ro");
  EXPECT_EQ(options->console.kind, ConsoleKind::kFile);
  EXPECT_EQ(options->console.path, "/tmp/out");
  EXPECT_EQ(options->stats, "s.json");
}

TEST(RunOptions, ErrorsNameTheOption) {
  const auto error_with = [](auto change) {
    RunArguments arguments;
    arguments.kernel = "k.elf";
    change(arguments);
    const auto options = to_run_options(arguments);
    return options ? std::string("accepted") : options.error().message;
  };
  EXPECT_THAT(error_with([](auto& a) { a.memory = "lots"; }), StartsWith("--memory: 'lots'"));
  EXPECT_THAT(error_with([](auto& a) { a.cpus = "two"; }), StartsWith("--cpus: 'two'"));
  EXPECT_THAT(error_with([](auto& a) { a.cpus = "4294967297"; }), StartsWith("--cpus: "));
  EXPECT_THAT(error_with([](auto& a) { a.cpus = "-1"; }), StartsWith("--cpus: "));
  EXPECT_THAT(error_with([](auto& a) { a.disks = {",ro"}; }), StartsWith("--disk wants"));
  EXPECT_THAT(error_with([](auto& a) { a.name = "a/b"; }), StartsWith("--name: 'a/b'"));
  EXPECT_THAT(error_with([](auto& a) { a.console = "file:"; }), StartsWith("--console 'file:'"));
  EXPECT_THAT(error_with([](auto& a) { a.console = "tty"; }), HasSubstr("none of stdio, none and file:PATH"));
}

TEST(RunOptions, TheBalloonIsOnUnlessSaidOtherwise) {
  const auto on = parse_balloon("on");
  ASSERT_TRUE(on);
  EXPECT_TRUE(on->on && on->deflate_on_oom && on->free_page_reporting);
  EXPECT_FALSE(parse_balloon("off")->on);
  const auto part = parse_balloon("no-reporting,no-deflate-on-oom");
  ASSERT_TRUE(part);
  EXPECT_TRUE(part->on && !part->deflate_on_oom && !part->free_page_reporting);
  for (const char* text : {"", "yes", "on,off", "no-reporting,", ",", "on "}) {
    EXPECT_FALSE(parse_balloon(text)) << text;
  }
}

TEST(Numbers, DecimalAndHexadecimal) {
  EXPECT_EQ(parse_number("0").value(), 0U);
  EXPECT_EQ(parse_number("4660").value(), 0x1234U);
  EXPECT_EQ(parse_number("0x1234").value(), 0x1234U);
  EXPECT_EQ(parse_number("0XffffFFFFffffFFFF").value(), UINT64_MAX);
  EXPECT_EQ(parse_number("255", 255).value(), 255U);
  EXPECT_FALSE(parse_number("256", 255));
  for (const char* bad :
       {"", "0x", "x", "-1", "+1", " 1", "1 ", "1k", "0x1g", "18446744073709551616", "0x0x1", "0x-1"}) {
    EXPECT_FALSE(parse_number(bad)) << bad;
  }
}

TEST(Table, ColumnsLineUp) {
  EXPECT_EQ(table_text({{"NAME", "PID"}, {"a", "1"}, {"longer", "22"}}),
            "NAME    PID\n"
            "a       1\n"
            "longer  22\n");
}

TEST(Table, NobodyWritesEscapeSequences) {
  EXPECT_EQ(table_text({{"A"}, {"x\x1b[31m\n\x7f"}}), "A\nx?[31m??\n");
}

TEST(Duration, PicksItsUnits) {
  EXPECT_EQ(duration_text(0), "0.0 s");
  EXPECT_EQ(duration_text(59.94), "59.9 s");
  EXPECT_EQ(duration_text(59.96), "0m 59s");
  EXPECT_EQ(duration_text(725), "12m 05s");
  EXPECT_EQ(duration_text(3 * 3600 + 7 * 60), "3h 07m");
  EXPECT_EQ(duration_text(49.5 * 3600), "2d 01h");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(1e300), "11574074074d 01h");
}

}  // namespace
}  // namespace twofold::cli
