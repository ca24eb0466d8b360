// What paging inside the guest costs: the guest's own workloads with too little memory, beside the same guest with
// enough, on Twofold and on QEMU's microvm with the same disk type, alternating, in one run.
//
// kvload:  operations a second (Zipf-distributed, all verified) with 1×, 1.5× and 2× the guest's memory.
// seqscan: MiB a second in and out of the swap disk, with a scan over twice the memory.
// victims: kvload's major faults at 1.5×, by the policy that chooses what to page out.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/peers.h"
#include "tests/support/process.h"

namespace twofold::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kMemoryMib = 16;
constexpr int kPlentyMib = 64;
constexpr int kPassed = 33;
constexpr double kPagesPerMib = 256;

std::string swap_image() {
  const auto path = (std::filesystem::temp_directory_path() / "twofold-bench-swap").string();
  std::ofstream(path, std::ios::binary | std::ios::trunc);
  std::filesystem::resize_file(path, 64 << 20);
  return path;
}

std::string run_guest(const Peer& peer, int memory_mib, const std::string& options, const std::string& command) {
  Guest guest{.kernel = built("guest/twofold-guest.elf"), .initrd = built("guest/initrd.cpio")};
  guest.append = "quiet swap=vda " + options + " run=\"" + command + "\"";
  guest.swap = swap_image();
  guest.memory = std::to_string(memory_mib) + "M";
  const auto done = test::run(peer.command(guest), 300s);
  std::filesystem::remove(guest.swap);
  if (done.status == kPassed) return done.output;
  throw std::runtime_error("'" + command + "' on " + peer.name + " ended with status " + std::to_string(done.status) +
                           "\n" + done.output + done.errors);
}

// The numbers that `pattern` captures, at its first match.
std::vector<double> numbers(const std::string& text, const std::string& pattern) {
  std::smatch match;
  if (!std::regex_search(text, match, std::regex(pattern)))
    throw std::runtime_error("no '" + pattern + "' in\n" + text);
  std::vector<double> values;
  for (size_t i = 1; i < match.size(); ++i) values.push_back(std::stod(match[i]));
  return values;
}

struct Load {
  double per_second;
  double major_faults;
};

Load kvload(const Peer& peer, int memory_mib, double times, const std::string& options, const std::string& until) {
  const int mib = static_cast<int>(kMemoryMib * times);
  const auto text = run_guest(peer, memory_mib, options, "kvload " + std::to_string(mib) + " " + until);
  const auto found = numbers(text, R"(operations in [0-9.]+ s, ([0-9]+)/s, ([0-9]+) major)");
  return {found[0], found[1]};
}

struct Scan {
  double out_mib_per_second;
  double in_mib_per_second;
};

Scan seqscan(const Peer& peer) {
  const auto text = run_guest(peer, kMemoryMib, "", "seqscan " + std::to_string(2 * kMemoryMib) + " --passes 1");
  const auto out = numbers(text, R"(wrote [0-9]+ MiB in ([0-9.]+) s, [^;]*; [0-9]+ pages in, ([0-9]+) out)");
  const auto in = numbers(text, R"(read [0-9]+ MiB in ([0-9.]+) s, [^;]*; ([0-9]+) pages in)");
  return {out[1] / kPagesPerMib / std::max(out[0], 0.01), in[1] / kPagesPerMib / std::max(in[0], 0.01)};
}

using Samples = std::map<std::string, std::vector<double>>;

void measure(const Peer& peer, Samples& samples) {
  for (const double times : {1.0, 1.5, 2.0}) {
    const std::string name = std::string("kvload_") + (times == 1.0 ? "1x" : times == 1.5 ? "1.5x" : "2x");
    samples[name + "_enough"].push_back(kvload(peer, kPlentyMib, times, "", "--seconds 3").per_second);
    const Load load = kvload(peer, kMemoryMib, times, "", "--seconds 3");
    samples[name].push_back(load.per_second);
    samples[name + "_major_faults"].push_back(load.major_faults);
  }
  const Scan scan = seqscan(peer);
  samples["swap_out_mib_per_second"].push_back(scan.out_mib_per_second);
  samples["swap_in_mib_per_second"].push_back(scan.in_mib_per_second);
}

void measure_policies(Samples& samples) {
  for (const std::string policy : {"clock", "random", "fifo"}) {
    const Load load = kvload(kTwofold, kMemoryMib, 1.5, "policy=" + policy, "--ops 100000");
    samples["major_faults_" + policy].push_back(load.major_faults);
  }
}

double of(const Samples& samples, const std::string& name) {
  return median(samples.at(name));
}

void print_table(const Samples& ours, const Samples& theirs, int rounds) {
  std::printf("medians of %d rounds; a guest of %d MiB, \"enough\" is %d MiB\n\n", rounds, kMemoryMib, kPlentyMib);
  std::printf("%-30s %12s %14s %8s\n", "", "twofold", "qemu microvm", "ratio");
  for (const std::string name : {"kvload_1x", "kvload_1.5x", "kvload_2x"}) {
    for (const std::string suffix : {"_enough", ""}) {
      const double a = of(ours, name + suffix);
      const double b = of(theirs, name + suffix);
      std::printf("%-30s %9.0f /s %11.0f /s %8.2f\n", (name + suffix).c_str(), a, b, a / b);
    }
    std::printf("%-30s %11.1f%% %13.1f%%\n", "  of what it does with enough",
                100 * of(ours, name) / of(ours, name + "_enough"),
                100 * of(theirs, name) / of(theirs, name + "_enough"));
    std::printf("%-30s %12.0f %14.0f\n", "  major faults", of(ours, name + "_major_faults"),
                of(theirs, name + "_major_faults"));
  }
  for (const std::string name : {"swap_out_mib_per_second", "swap_in_mib_per_second"}) {
    const double a = of(ours, name);
    const double b = of(theirs, name);
    std::printf("%-30s %12.1f %14.1f %8.2f\n", name.c_str(), a, b, a / b);
  }
  const double clock = of(ours, "major_faults_clock");
  for (const std::string policy : {"clock", "random", "fifo"}) {
    const double faults = of(ours, "major_faults_" + policy);
    std::printf("%-30s %12.0f %22.2f of clock's\n", ("major faults, " + policy).c_str(), faults, faults / clock);
  }
}

int bench(int rounds, bool json) {
  Samples ours;
  Samples theirs;
  for (int round = 1; round <= rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round, rounds);
    measure(kTwofold, ours);
    measure(kQemu, theirs);
    measure_policies(ours);
  }
  if (!json) {
    print_table(ours, theirs, rounds);
    return 0;
  }
  nlohmann::json out = {{"rounds", rounds}, {"memory_mib", kMemoryMib}, {"enough_mib", kPlentyMib}};
  for (const auto& [name, values] : ours) out[kTwofold.name][name] = median(values);
  for (const auto& [name, values] : theirs) out[kQemu.name][name] = median(values);
  std::printf("%s\n", out.dump(2).c_str());
  return 0;
}

}  // namespace
}  // namespace twofold::bench

int main(int argc, char** argv) {
  int rounds = 3;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::sscanf(argv[i], "--rounds=%d", &rounds) != 1 || rounds < 1 || rounds > 1000) {
      std::fprintf(stderr, "usage: bench_paging [--rounds=N] [--json]   (needs KVM, and QEMU at /usr/bin)\n");
      return 2;
    }
  }
  try {
    return twofold::bench::bench(rounds, json);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_paging: %s\n", error.what());
    return 1;
  }
}
