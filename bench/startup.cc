// What it costs to get a guest going: Twofold beside QEMU's microvm, the same ELF, alternating, in one run.
//
// first instruction: from exec of the VMM to the first byte of a kernel whose first instructions write it.
// prompt:            from exec to our guest's shell prompt.
// own memory:        the VMM's proportional set size at the prompt, without the guest's RAM.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/peers.h"
#include "tests/support/process.h"
#include "vmm/base/size.h"

namespace twofold::bench {
namespace {

using namespace std::chrono_literals;
using test::Process;

constexpr uint64_t kGuestBytes = 64 * MiB;  // peers.h: Guest

// Sums the Pss lines of smaps, leaving out the mapping that is as large as guest RAM.
double own_pss_kib(pid_t pid) {
  std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
  double total = 0;
  uint64_t size_kib = 0;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "Size: %llu kB", &kib) == 1) size_kib = kib;
    if (std::sscanf(line.c_str(), "Pss: %llu kB", &kib) == 1 && size_kib * KiB != kGuestBytes) {
      total += static_cast<double>(kib);
    }
  }
  return total;
}

struct Sample {
  double first_ms = 0;
  double prompt_ms = 0;
  double pss_kib = 0;
};

double time_to(Process& process, const std::string& text, std::chrono::steady_clock::time_point begin) {
  if (!process.wait_for(text, 120s)) {
    throw std::runtime_error("no '" + text + "' came; stdout: " + process.output() + " stderr: " + process.errors());
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

Sample measure(const Peer& peer) {
  Sample sample;
  {
    const auto begin = std::chrono::steady_clock::now();
    Process process(peer.command({.kernel = built("kernels/spin.elf")}));
    sample.first_ms = time_to(process, "!", begin);
  }
  const auto begin = std::chrono::steady_clock::now();
  Process process(peer.command({.kernel = built("guest/twofold-guest.elf"), .initrd = built("guest/initrd.cpio")}));
  sample.prompt_ms = time_to(process, "$ ", begin);
  sample.pss_kib = own_pss_kib(process.pid());
  return sample;
}

Sample medians(const std::vector<Sample>& samples) {
  const auto of = [&](double Sample::*field) {
    std::vector<double> values;
    for (const auto& sample : samples) values.push_back(sample.*field);
    return median(values);
  };
  return {of(&Sample::first_ms), of(&Sample::prompt_ms), of(&Sample::pss_kib)};
}

void print_row(const char* what, double ours, double theirs, const char* unit) {
  std::printf("%-24s %10.1f %s %10.1f %s %8.2f\n", what, ours, unit, theirs, unit, ours / theirs);
}

int bench(int rounds, bool json) {
  std::vector<Sample> ours;
  std::vector<Sample> theirs;
  for (int round = 0; round <= rounds; ++round) {
    const Sample a = measure(kTwofold);
    const Sample b = measure(kQemu);
    std::fprintf(stderr, "round %d of %d%s\n", round, rounds, round == 0 ? " (warms the caches, not counted)" : "");
    if (round == 0) continue;
    ours.push_back(a);
    theirs.push_back(b);
  }
  const Sample a = medians(ours);
  const Sample b = medians(theirs);
  if (json) {
    const auto row = [](const Sample& s) {
      return nlohmann::json{
          {"first_instruction_ms", s.first_ms}, {"prompt_ms", s.prompt_ms}, {"own_pss_kib", s.pss_kib}};
    };
    std::printf("%s\n",
                nlohmann::json{{"rounds", rounds}, {"twofold", row(a)}, {"qemu_microvm", row(b)}}.dump(2).c_str());
    return 0;
  }
  std::printf("medians of %d rounds           twofold     qemu microvm    ratio\n", rounds);
  print_row("exec to first instruction", a.first_ms, b.first_ms, "ms ");
  print_row("exec to shell prompt", a.prompt_ms, b.prompt_ms, "ms ");
  print_row("own memory (PSS - RAM)", a.pss_kib, b.pss_kib, "KiB");
  return 0;
}

}  // namespace
}  // namespace twofold::bench

int main(int argc, char** argv) {
  int rounds = 7;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::sscanf(argv[i], "--rounds=%d", &rounds) != 1 || rounds < 1 || rounds > 1000) {
      std::fprintf(stderr, "usage: bench_startup [--rounds=N] [--json]   (needs KVM, and QEMU at /usr/bin)\n");
      return 2;
    }
  }
  try {
    return twofold::bench::bench(rounds, json);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_startup: %s\n", error.what());
    return 1;
  }
}
