// What the balloon costs: Twofold's beside QEMU's, with the same guest and so the same driver at the other end,
// alternating, in one run.
//
// inflate, deflate: MiB a second of memory that the guest has touched (the host gives up real pages) and of memory that
//                   it has not touched since it got it back. A size is reached when the VMM says so.
// calls, exits:     system calls of the VMM's threads and VM exits, for each MiB of an inflation, by the kernel's own
//                   tracepoints, while nobody asks the VMM anything.
// reporting:        from the last word of a process that held memory to the host having it back.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "bench/event_counter.h"
#include "bench/peers.h"
#include "tests/support/process.h"
#include "tests/support/qmp.h"
#include "vmm/base/size.h"
#include "vmm/control/client.h"

namespace twofold::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Process;

constexpr uint64_t kMemory = 256 * MiB;  // "256M" below
constexpr uint64_t kBalloon = 192 * MiB;
constexpr double kBalloonMib = kBalloon / MiB;
constexpr int kReports = 50;  // a round
constexpr uint64_t kReportedMib = 16;
constexpr auto kPatience = 1s;  // for a report: what takes longer counts as never done
constexpr auto kLimit = 60s;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The VMM's anonymous memory: the guest's and its own, without the program's file. Cheap enough to be asked each
// millisecond.
uint64_t resident_bytes(pid_t pid) {
  uint64_t size = 0;
  uint64_t resident = 0;
  uint64_t of_files = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> size >> resident >> of_files;
  return (resident - of_files) * 4096;
}

// A guest with a shell on one of the two, and the way to its balloon.
class Vm {
 public:
  Vm(const Peer& peer, const std::string& memory, Balloon balloon)
      : name_(peer.name), is_qemu_(peer.name == kQemu.name) {
    const auto scratch = std::filesystem::temp_directory_path() / ("twofold-bench-" + std::to_string(::getpid()));
    control_ = is_qemu_ ? scratch.string() + ".qmp" : scratch.filename().string();
    Guest guest{.kernel = built("guest/twofold-guest.elf"), .initrd = built("guest/initrd.cpio"), .append = "quiet"};
    guest.memory = memory;
    guest.balloon = balloon;
    guest.control = control_;
    process_.emplace(peer.command(guest));
    expect("$ ");
    if (is_qemu_) qmp_.emplace(control_, 10s);
  }

  [[nodiscard]] pid_t pid() const { return process_->pid(); }

  [[noreturn]] void fail(const std::string& what) {
    (void)process_->wait(1s);  // its last words, if it has died
    throw std::runtime_error(name_ + ", " + format_size(resident_bytes(pid())) + " resident: " + what + "\n" +
                             process_->output() + process_->errors());
  }

  void expect(const std::string& text) {
    if (!process_->wait_for(text, kLimit)) fail("no '" + text + "'");
  }

  void wait_until(const std::function<bool()>& done, std::chrono::microseconds between, const std::string& what) {
    const auto begin = Clock::now();
    while (!done()) {
      if (Clock::now() - begin > kLimit) fail(what + ": not within the time");
      std::this_thread::sleep_for(between);
    }
  }

  // Runs a process that touches memory; returns at its last word, before it has ended.
  void touch(uint64_t mib) {
    process_->send("touchmem " + std::to_string(mib) + "\n");
    expect("verified");
  }

  void set_balloon(uint64_t bytes) {
    if (is_qemu_) {
      (void)qmp_->execute("balloon", {{"value", kMemory - bytes}});
    } else if (const auto done = client().set_balloon(bytes); !done) {
      fail(done.error().message);
    }
  }
  [[nodiscard]] uint64_t balloon() {
    if (is_qemu_) return kMemory - qmp_->execute("query-balloon")["actual"].get<uint64_t>();
    const auto now = client().balloon();
    if (!now) fail(now.error().message);
    return (*now)["actual_bytes"];
  }

  // Seconds until the balloon has that size, asked for each `between`.
  double resize(uint64_t bytes, std::chrono::milliseconds between) {
    const auto begin = Clock::now();
    set_balloon(bytes);
    wait_until([&] { return balloon() == bytes; }, between, "a balloon of " + format_size(bytes));
    return seconds_since(begin);
  }

 private:
  [[nodiscard]] VmClient client() {
    const auto registry = Registry::open();
    if (!registry) fail(registry.error().message);
    auto vm = registry->find(control_);
    if (!vm) fail(vm.error().message);
    return VmClient(*vm);
  }

  std::string name_;
  bool is_qemu_;
  std::string control_;
  std::optional<Process> process_;
  std::optional<test::Qmp> qmp_;
};

using Samples = std::map<std::string, std::vector<double>>;

void measure_sizes(const Peer& peer, Samples& samples) {
  constexpr auto kOften = 10ms;
  constexpr auto kSeldom = 100ms;
  Vm vm(peer, "256M", Balloon::kSteered);
  const auto touched = [&] {
    vm.touch(kBalloon / MiB + 16);
    vm.expect("$ ");
    if (resident_bytes(vm.pid()) < kBalloon) vm.fail("the host does not hold what the guest touched");
  };
  touched();
  samples["inflate_touched_mib_per_second"].push_back(kBalloonMib / vm.resize(kBalloon, kOften));
  if (resident_bytes(vm.pid()) > kMemory - kBalloon + 64 * MiB) vm.fail("the host got nothing back");
  samples["deflate_mib_per_second"].push_back(kBalloonMib / vm.resize(0, kOften));
  samples["inflate_untouched_mib_per_second"].push_back(kBalloonMib / vm.resize(kBalloon, kOften));
  (void)vm.resize(0, kOften);

  touched();
  const EventCounter calls("raw_syscalls/sys_enter", vm.pid());
  const EventCounter exits("kvm/kvm_exit", vm.pid());
  vm.set_balloon(kBalloon);
  vm.wait_until([&] { return resident_bytes(vm.pid()) < kMemory - kBalloon + 64 * MiB; }, kSeldom, "an inflation");
  std::this_thread::sleep_for(kSeldom);
  samples["system_calls_per_mib"].push_back(static_cast<double>(calls.count()) / kBalloonMib);
  samples["vm_exits_per_mib"].push_back(static_cast<double>(exits.count()) / kBalloonMib);
}

void measure_reporting(const Peer& peer, Samples& samples) {
  Vm vm(peer, "64M", Balloon::kReporting);
  std::this_thread::sleep_for(1s);  // what the boot left is reported by then
  for (int i = 0; i < kReports; ++i) {
    const uint64_t before = resident_bytes(vm.pid());
    vm.touch(kReportedMib);
    const auto begin = Clock::now();
    // All but 2 MiB: the guest keeps a few free pages for the next who asks, and the VMM may have grown a little
    // itself. Where the host fills a hole with a huge page as soon as one byte there is touched, some of it never
    // comes.
    while (resident_bytes(vm.pid()) >= before + 2 * MiB && Clock::now() - begin < kPatience) {
      std::this_thread::sleep_for(500us);
    }
    const double seconds = seconds_since(begin);
    samples["report_milliseconds"].push_back(1000 * seconds);
    samples["reports_never_done_per_cent"].push_back(Clock::now() - begin < kPatience ? 0 : 100);
    vm.expect("$ ");
  }
}

struct Row {
  const char* name;
  const char* unit;
  double per_cent;  // the percentile that is shown; kMean: the mean
};
constexpr double kMean = -1;
constexpr Row kRows[] = {
    {"inflate_touched_mib_per_second", "MiB/s", 50},
    {"inflate_untouched_mib_per_second", "MiB/s", 50},
    {"deflate_mib_per_second", "MiB/s", 50},
    {"system_calls_per_mib", "/MiB", 50},
    {"vm_exits_per_mib", "/MiB", 50},
    {"report_milliseconds", "ms", 50},
    {"report_milliseconds", "ms", 99},
    {"reports_never_done_per_cent", "%", kMean},
};

double pick(const std::vector<double>& values, double per_cent) {
  if (per_cent != kMean) return percentile(values, per_cent);
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

int bench(int rounds, bool json, bool sizes, bool reports) {
  Samples ours;
  Samples theirs;
  for (int round = 1; round <= rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round, rounds);
    if (sizes) {
      measure_sizes(kTwofold, ours);
      measure_sizes(kQemu, theirs);
    }
    if (reports) {
      measure_reporting(kTwofold, ours);
      measure_reporting(kQemu, theirs);
    }
  }
  nlohmann::json out = {{"rounds", rounds}, {"memory_bytes", kMemory}, {"balloon_bytes", kBalloon}};
  if (!json) {
    std::printf("medians of %d rounds; a balloon of %s in a guest of %s; reports of %d MiB in one of 64M\n\n", rounds,
                format_size(kBalloon).c_str(), format_size(kMemory).c_str(), static_cast<int>(kReportedMib));
    std::printf("%-38s %15s %15s %8s\n", "", kTwofold.name, kQemu.name, "ratio");
  }
  for (const Row& row : kRows) {
    if (ours[row.name].empty()) continue;
    const double a = pick(ours[row.name], row.per_cent);
    const double b = pick(theirs[row.name], row.per_cent);
    const std::string name = std::string(row.name) + (row.per_cent == 99 ? "_p99" : "");
    out[kTwofold.name][name] = a;
    out[kQemu.name][name] = b;
    if (!json) std::printf("%-38s %9.2f %-5s %9.2f %-5s %8.2f\n", name.c_str(), a, row.unit, b, row.unit, a / b);
  }
  if (json) std::printf("%s\n", out.dump(2).c_str());
  return 0;
}

}  // namespace
}  // namespace twofold::bench

int main(int argc, char** argv) {
  int rounds = 3;
  bool json = false;
  bool sizes = true;
  bool reports = true;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--only=sizes") == 0) {
      reports = false;
    } else if (std::strcmp(argv[i], "--only=reports") == 0) {
      sizes = false;
    } else if (std::sscanf(argv[i], "--rounds=%d", &rounds) != 1 || rounds < 1 || rounds > 1000) {
      std::fprintf(
          stderr,
          "usage: bench_balloon [--rounds=N] [--only=sizes|reports] [--json]   (needs KVM, and QEMU at /usr/bin)\n");
      return 2;
    }
  }
  try {
    return twofold::bench::bench(rounds, json, sizes, reports);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_balloon: %s\n", error.what());
    return 1;
  }
}
