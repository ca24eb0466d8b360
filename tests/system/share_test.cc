// Guests of different processes that share their identical pages through a host service, on real KVM.
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "tests/system/twofold_runner.h"
#include "vmm/base/size.h"

namespace twofold::test {
namespace {

using nlohmann::json;

uint64_t merge_count(const std::string& vm, const std::string& name) {
  const auto done = run({twofold_binary(), "merge", vm, "--json"}, kLimit);
  EXPECT_EQ(done.status, 0) << done.errors;
  const auto merging = json::parse(done.output, nullptr, false);
  return merging.is_discarded() ? 0 : merging.value(name, uint64_t{0});
}

bool shares(const std::string& vm, uint64_t bytes) {
  for (int i = 0; i < 200; ++i) {
    if (merge_count(vm, "shared_bytes") >= bytes) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

// What the host holds for a process alone: pages of the pool are not among it.
uint64_t private_bytes(pid_t pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "Pss_Anon: %llu kB", &kib) == 1) return kib * KiB;
  }
  return 0;
}

class Host {
 public:
  Host() : process_({twofold_binary(), "host", "--socket", path(), "--pool", "256M"}) {
    for (int i = 0; i < 200 && ::access(path().c_str(), F_OK) != 0; ++i) std::this_thread::sleep_for(20ms);
  }
  [[nodiscard]] std::string path() const { return dir_.path("host"); }
  [[nodiscard]] Process& process() { return process_; }
  [[nodiscard]] Process boot(const std::string& name, const std::string& domain) const {
    return boot_shell(name, {"--host", path(), "--share-domain", domain, "--merge-rate", "0", "--merge-cpu", "100"});
  }

 private:
  TempDir dir_;
  Process process_;
};

constexpr uint64_t kHeld = 8 * MiB;
const std::string kHold = "idle 8 --seconds 25 &";

TEST(Share, GuestsOfADomainKeepOnceWhatTheyHaveInCommon) {
  Host host;
  std::vector<Process> guests;
  for (int i = 0; i < 3; ++i) guests.push_back(host.boot("kin" + std::to_string(i), "kin"));
  guests.push_back(host.boot("stranger", "other"));
  for (Process& guest : guests) ASSERT_TRUE(ask(guest, kHold, "holds 8 MiB")) << guest.output();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(shares("kin" + std::to_string(i), kHeld * 95 / 100));
  EXPECT_LT(merge_count("stranger", "shared_bytes"), kHeld / 4) << "it has nobody to share with";
  // By the kernel's own account the kin hold next to nothing of it privately.
  for (int i = 0; i < 3; ++i) {
    EXPECT_LT(private_bytes(guests[static_cast<size_t>(i)].pid()), 6 * MiB) << i;
  }
  EXPECT_GT(private_bytes(guests[3].pid()), kHeld);
  for (Process& guest : guests) EXPECT_TRUE(guest.wait_for("8 MiB unchanged", 2 * kLimit)) << guest.output();
}

TEST(Share, KillingTheServiceOrAKinIsNoticedByNoGuest) {
  std::optional<Host> host(std::in_place);
  Process one = host->boot("one", "kin");
  std::optional<Process> two(host->boot("two", "kin"));
  ASSERT_TRUE(ask(one, kHold, "holds 8 MiB")) << one.output();
  ASSERT_TRUE(ask(*two, kHold, "holds 8 MiB")) << two->output();
  ASSERT_TRUE(shares("one", kHeld * 95 / 100));
  ASSERT_TRUE(shares("two", kHeld * 95 / 100));
  two->signal(SIGKILL);
  two.reset();
  Process three = host->boot("three", "kin");
  ASSERT_TRUE(ask(three, kHold, "holds 8 MiB")) << three.output();
  EXPECT_TRUE(shares("three", kHeld * 95 / 100)) << "what the killed one shared is still there for others";
  host->process().signal(SIGKILL);
  host.reset();
  for (const Process* guest : {&one, &three}) {
    ASSERT_EQ(guest->output().find("unchanged"), std::string::npos) << "too slow: it was over before the service was";
  }
  EXPECT_TRUE(ask(one, "touchmem 4", "touchmem: 4 MiB")) << one.output();
  EXPECT_TRUE(one.wait_for("8 MiB unchanged", kLimit)) << one.output();
  EXPECT_TRUE(three.wait_for("8 MiB unchanged", kLimit)) << three.output();
}

TEST(Share, NobodyJoinsByAccident) {
  const auto nobody =
      run(run_command(guest_kernel(), {"--host", "/nonexistent/host", "--share-domain", "kin"}), kLimit);
  EXPECT_EQ(nobody.status, 2);
  EXPECT_NE(nobody.errors.find("twofold host --socket"), std::string::npos) << nobody.errors;
  const auto nameless = run(run_command(guest_kernel(), {"--host", "/nonexistent/host"}), kLimit);
  EXPECT_EQ(nameless.status, 2);
  EXPECT_NE(nameless.errors.find("--share-domain"), std::string::npos) << nameless.errors;
}

}  // namespace
}  // namespace twofold::test
