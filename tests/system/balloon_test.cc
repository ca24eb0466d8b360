// The balloon, both ends of it ours, on real KVM: sizes come and go while the guest works, and the host's own account
// follows.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <stdexcept>

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
  explicit BalloonedGuest(const std::string& name, const std::vector<std::string>& more = {}) : name_(name) {
    std::ofstream{dir_.path("swap")};
    std::filesystem::resize_file(dir_.path("swap"), kSwapBytes);
    std::vector<std::string> arguments = {"--disk", dir_.path("swap"), "--append", "swap=vda"};
    arguments.insert(arguments.end(), more.begin(), more.end());
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

}  // namespace
}  // namespace twofold::test
