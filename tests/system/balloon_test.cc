// The balloon, both ends of it ours, on real KVM: sizes come and go while the guest works, and the host's own account
// follows.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/support/paging_load.h"
#include "tests/system/twofold_runner.h"
#include "vmm/base/size.h"

namespace twofold::test {
namespace {

using nlohmann::json;

constexpr uint64_t kMemory = 32 * MiB;  // boot_shell's
constexpr uint64_t kSwapBytes = 64 * MiB;
constexpr uint64_t kPageBytes = 4096;

// What a command about a VM prints as JSON. Throws what it complains of.
json ask_vm(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {twofold_binary()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.emplace_back("--json");
  const auto done = run(argv, kLimit);
  if (done.status != 0) throw std::runtime_error(done.errors);
  return json::parse(done.output);
}

// Our guest with a shell, a swap disk and a balloon.
class BalloonedGuest {
 public:
  enum class Swap : uint8_t { kNone, kDisk };

  explicit BalloonedGuest(const std::string& name, Swap swap = Swap::kDisk, const std::string& balloon = "on")
      : name_(name) {
    std::vector<std::string> arguments = {"--balloon", balloon};
    if (swap == Swap::kDisk) {
      std::ofstream{dir_.path("swap")};
      std::filesystem::resize_file(dir_.path("swap"), kSwapBytes);
      arguments.insert(arguments.end(), {"--disk", dir_.path("swap"), "--append", "swap=vda"});
    }
    shell_.emplace(boot_shell(name, arguments));
  }

  [[nodiscard]] Process& shell() { return *shell_; }

  // Sets the balloon, waits until it has that size, and tells what the host holds then. If that fails the guest's last
  // words are in the message.
  [[nodiscard]] json resize(uint64_t bytes) {
    try {
      const auto balloon = ask_vm({"balloon", name_, std::to_string(bytes), "--wait"});
      EXPECT_EQ(balloon["actual_bytes"], bytes / kPageBytes * kPageBytes);
      return stats();
    } catch (const std::runtime_error& error) {
      (void)shell_->wait(2s);
      throw std::runtime_error(error.what() + shell_->output() + shell_->errors());
    }
  }
  [[nodiscard]] json stats() const { return ask_vm({"stats", name_}); }

  // The same, with statistics of the guest's that are younger than this call: it sends them once a second.
  [[nodiscard]] json fresh_stats() const {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) {
      auto now = stats();
      const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
      const json& age = now["balloon"]["seconds_since_statistics"];
      if (age.is_number() && age.get<double>() < waited.count()) return now;
      std::this_thread::sleep_for(50ms);
    }
    throw std::runtime_error(name_ + " sends no statistics");
  }

 private:
  std::string name_;
  TempDir dir_;
  std::optional<Process> shell_;
};

TEST(Balloon, AStormOfSizesUnderLoadLosesNoByteAndTheHostGetsItsMemory) {
  BalloonedGuest guest("storm");
  const int sizes = full_tests() ? 100 : 20;
  const int load_seconds = full_tests() ? 60 : 15;  // in which the sizes come and go
  guest.shell().send("kvload 12 --seconds " + std::to_string(load_seconds) + "\n");
  ASSERT_TRUE(guest.shell().wait_for("values of 1024 bytes are there", kLimit)) << guest.shell().output();
  std::mt19937 random(1);
  for (int i = 0; i < sizes; ++i) {
    const uint64_t bytes = i % 10 == 9 ? 0 : random() % (kMemory * 3 / 4);
    const auto stats = guest.resize(bytes);
    const uint64_t resident = stats["memory"]["resident_bytes"];
    ASSERT_LE(resident, kMemory - bytes + kMemory / 50) << "size " << i << ": " << stats.dump(1);
    ASSERT_EQ(stats["memory"]["ballooned_bytes"], bytes / kPageBytes * kPageBytes);
    ASSERT_EQ(stats["balloon"]["statistics"]["oom_kills"], 0);
  }
  (void)guest.resize(0);
  // The load's last act is to read all values again.
  EXPECT_TRUE(guest.shell().wait_for(", verified", 2 * kLimit)) << guest.shell().output();
  EXPECT_EQ(occurrences(guest.shell().output(), "WRONG"), 0) << guest.shell().output();
}

// Most of the memory is in the balloon, and there is no swap: a process that needs more than is left gets it from the
// balloon.
TEST(Balloon, AGuestWithoutSwapTakesPagesBackBeforeItKills) {
  BalloonedGuest guest("needy", BalloonedGuest::Swap::kNone);
  const uint64_t bytes = kMemory * 8 / 10;
  (void)guest.resize(bytes);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(ask(guest.shell(), "touchmem 16", "verified")) << guest.shell().output();
  const auto took = std::chrono::steady_clock::now() - begin;
  ::testing::Test::RecordProperty("milliseconds",
                                  std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_EQ(occurrences(guest.shell().output(), "out of memory"), 0) << guest.shell().output();
  const auto stats = guest.fresh_stats();
  EXPECT_EQ(stats["balloon"]["statistics"]["oom_kills"], 0) << stats.dump(1);
  EXPECT_GT(stats["balloon"]["deflate_requests"], 0) << stats.dump(1);
  // When the process has gone the balloon comes back to its size.
  EXPECT_LE(guest.resize(bytes)["memory"]["resident_bytes"].get<uint64_t>(), kMemory - bytes + kMemory / 50);
}

// The same where the guest may not do so: it pages, and lives.
TEST(Balloon, AGuestThatMayTakeNothingBackPagesAndLives) {
  BalloonedGuest guest("patient", BalloonedGuest::Swap::kDisk, "no-deflate-on-oom");
  const uint64_t bytes = kMemory * 8 / 10;
  (void)guest.resize(bytes);
  ASSERT_TRUE(ask(guest.shell(), "touchmem 16", "verified")) << guest.shell().output();
  const auto stats = guest.fresh_stats();
  EXPECT_EQ(stats["balloon"]["actual_bytes"], bytes / kPageBytes * kPageBytes) << stats.dump(1);
  EXPECT_EQ(stats["balloon"]["deflate_requests"], 0) << stats.dump(1);
  EXPECT_GT(stats["balloon"]["statistics"]["swap_out_bytes"], 0) << stats.dump(1);
}

// What the guest tells the host is what it tells whoever asks in the guest, within a period of the statistics.
TEST(Balloon, StatisticsAgreeWithTheGuestsOwn) {
  BalloonedGuest guest("teller");
  ASSERT_TRUE(ask(guest.shell(), "touchmem 40", "verified")) << guest.shell().output();
  std::this_thread::sleep_for(500ms);  // nothing happens in the guest any more
  const auto statistics = guest.fresh_stats()["balloon"]["statistics"];
  ASSERT_TRUE(ask(guest.shell(), "vmstat", "oom\r\n")) << guest.shell().output();
  ASSERT_TRUE(guest.shell().wait_for("$ ", kLimit)) << guest.shell().output();
  std::istringstream line(guest.shell().output().substr(guest.shell().output().rfind("oom\r\n") + 5));
  uint64_t free_kib = 0, user = 0, tables = 0, cache = 0, swap = 0, minor = 0, major = 0, in = 0, out = 0;
  ASSERT_TRUE(line >> free_kib >> user >> tables >> cache >> swap >> minor >> major >> in >> out) << line.str();
  const uint64_t told_free = statistics["free_bytes"];
  EXPECT_NEAR(static_cast<double>(told_free / KiB), static_cast<double>(free_kib), 128) << statistics.dump(1);
  // vmstat itself takes a few faults to start.
  EXPECT_NEAR(statistics["major_faults"].get<double>(), static_cast<double>(major), 20);
  EXPECT_NEAR(statistics["minor_faults"].get<double>(), static_cast<double>(minor), 60);
  EXPECT_NEAR(statistics["swap_in_bytes"].get<double>() / kPageBytes, static_cast<double>(in), 40);
  EXPECT_EQ(statistics["swap_out_bytes"].get<uint64_t>() / kPageBytes, out);
  EXPECT_GT(out, 1000u) << "there was something to count";
}

// Frames that a process leaves behind go back to the host without anybody asking.
TEST(Balloon, FreePagesAreReportedAndGoBackToTheHost) {
  BalloonedGuest guest("tidy");
  ASSERT_TRUE(ask(guest.shell(), "touchmem 20", "verified")) << guest.shell().output();
  json stats;
  for (int i = 0; i < 100; ++i) {
    stats = guest.stats();
    if (stats["memory"]["resident_bytes"].get<uint64_t>() < 12 * MiB) break;
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_LT(stats["memory"]["resident_bytes"].get<uint64_t>(), 12 * MiB) << stats.dump(1);
  EXPECT_GE(stats["memory"]["reported_bytes_total"].get<uint64_t>(), 15 * MiB) << stats.dump(1);
  // And they are good for use again.
  EXPECT_TRUE(ask(guest.shell(), "touchmem 20", "verified")) << guest.shell().output();
}

// A control group of our own, which the kernel charges with what it really holds for whoever is in it: a huge page of
// which one byte is mapped counts whole.
class MemoryGroup {
 public:
  // Throws where there is no control group to be had.
  explicit MemoryGroup(const std::string& name) : path_("/sys/fs/cgroup/" + name) {
    std::ofstream("/sys/fs/cgroup/cgroup.subtree_control") << "+memory" << std::flush;
    std::filesystem::create_directory(path_);
    if (!std::filesystem::exists(path_ + "/memory.current")) throw std::runtime_error(path_ + " counts no memory");
  }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;
  ~MemoryGroup() {
    std::error_code ignored;  // it goes when its last process has gone
    for (int i = 0; i < 100 && !std::filesystem::remove(path_, ignored); ++i) std::this_thread::sleep_for(20ms);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t stat(const std::string& key) const {
    std::ifstream file(path_ + "/memory.stat");
    std::string name;
    for (uint64_t value = 0; file >> name >> value;) {
      if (name == key) return value;
    }
    throw std::runtime_error("no " + key + " in " + path_ + "/memory.stat");
  }

 private:
  std::string path_;
};

// Huge pages that are given up in part, by runs that are far apart, are really given up: by the host's own account, not
// by ours, and not by what is mapped.
TEST(Balloon, MemoryInHugePagesReallyGoesBack) {
  std::optional<MemoryGroup> group;
  try {
    group.emplace("twofold-balloon-test");
  } catch (const std::exception& error) {
    GTEST_SKIP() << "no memory control group here: " << error.what();
  }
  std::vector<std::string> argv = {"/bin/sh", "-c", "echo $$ >" + group->path() + "/cgroup.procs; exec \"$@\"", "sh"};
  const auto command = run_command(
      guest_kernel(), {"--initrd", guest_initrd(), "--name", "huge", "--memory", "64M", "--balloon", "no-reporting"});
  argv.insert(argv.end(), command.begin(), command.end());
  Process shell(argv);
  ASSERT_TRUE(shell.wait_for("$ ", kLimit)) << shell.errors();
  ASSERT_TRUE(ask(shell, "touchmem 48", "verified")) << shell.output();
  ASSERT_TRUE(shell.wait_for("$ ", kLimit));
  if (group->stat("anon_thp") < 32 * MiB) GTEST_SKIP() << "the host gave the guest no huge pages";
  for (const uint64_t mib : {7, 21, 33, 45}) {
    (void)ask_vm({"balloon", "huge", std::to_string(mib * MiB), "--wait"});
    uint64_t held = 0;
    for (int i = 0; i < 100; ++i) {
      held = group->stat("anon");
      if (held <= (64 - mib + 3) * MiB) break;
      std::this_thread::sleep_for(20ms);  // splitting waits for a pause
    }
    EXPECT_LE(held, (64 - mib + 3) * MiB) << "with a balloon of " << mib << " MiB; 2 MiB are the VMM's own";
  }
}

TEST(Balloon, AGuestMayHaveNone) {
  BalloonedGuest guest("bare", BalloonedGuest::Swap::kNone, "off");
  const auto done = run({twofold_binary(), "balloon", "bare", "1M"}, kLimit);
  EXPECT_EQ(done.status, 1);
  EXPECT_EQ(occurrences(done.errors, "has no balloon"), 1) << done.errors;
  EXPECT_TRUE(guest.stats()["balloon"].is_null());
}

}  // namespace
}  // namespace twofold::test
