// The merge library beside the kernel's ksmd: the same memory image, merged by one and by the other, alternating, in
// one run. Needs root; KVM is not needed. Nothing else on the machine may use KSM meanwhile.
//
// The image stands for four guests: zero pages; pages that all four have at the same place (what they booted from);
// pages that lie here and there (what they loaded); and pages of their own.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <thread>

#include "bench/ksmd.h"
#include "bench/peers.h"
#include "tests/support/merged_memory.h"
#include "vmm/base/size.h"

namespace twofold::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ksm::kPageBytes;
using ksm::testing::fill_page;
using ksm::testing::holds_page;

constexpr uint64_t kGuests = 4;
constexpr double kNever = 1e9;            // seconds
constexpr uint64_t kScatteredCopies = 6;  // of each page that lies here and there

struct Image {
  uint64_t mib = 2048;
  uint64_t zero = 20;  // per cent of all pages
  uint64_t same = 35;
  uint64_t scattered = 10;
  bool writer = false;
  [[nodiscard]] uint64_t frames() const { return mib * MiB / kPageBytes / kGuests * kGuests; }

  // What stands in each frame: a page's number, 0 for zeros.
  [[nodiscard]] std::vector<uint64_t> contents() const {
    const uint64_t each = frames() / kGuests;
    std::vector<uint64_t> all(frames());
    uint64_t unique = uint64_t{1} << 40;
    std::mt19937_64 random(1);
    const uint64_t pool = std::max<uint64_t>(frames() * scattered / 100 / kScatteredCopies, 1);
    std::vector<uint64_t> kinds(each);  // of a place, the same in each guest, in runs as files are
    for (uint64_t i = 0; i < each;) {
      const uint64_t draw = random() % 100;
      const uint64_t kind = draw < zero ? 0 : draw < zero + same ? 1 : draw < zero + same + scattered ? 2 : 3;
      const uint64_t length = 32;
      for (uint64_t j = 0; j < length && i < each; ++j, ++i) kinds[i] = kind;
    }
    std::vector<uint64_t> loose;  // places for scattered pages are mixed with unique ones
    for (uint64_t i = 0; i < each; ++i) {
      if (kinds[i] >= 2) loose.push_back(i);
    }
    std::shuffle(loose.begin(), loose.end(), random);
    for (uint64_t i = 0; i < loose.size(); ++i) {
      kinds[loose[i]] = i < loose.size() * scattered / std::max<uint64_t>(100 - zero - same, 1) ? 2 : 3;
    }
    for (uint64_t guest = 0; guest < kGuests; ++guest) {
      for (uint64_t i = 0; i < each; ++i) {
        uint64_t& page = all[guest * each + i];
        if (kinds[i] == 0) page = 0;
        if (kinds[i] == 1) page = 1 + i;
        if (kinds[i] == 2) page = (uint64_t{1} << 30) + random() % pool;
        if (kinds[i] == 3) page = unique++;
      }
    }
    return all;
  }
};

// Frames that a perfect merger saves: all but one of each content, and, where it drops zeros, all of those.
uint64_t possible(std::vector<uint64_t> contents) {
  const auto frames = contents.size();
  std::sort(contents.begin(), contents.end());
  contents.erase(std::unique(contents.begin(), contents.end()), contents.end());
  return frames - contents.size();
}

uint64_t pss_bytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "Pss: %llu kB", &kib) == 1) return kib * KiB;
  }
  throw std::runtime_error("no /proc/self/smaps_rollup");
}

uint64_t count_areas() {
  std::ifstream maps("/proc/self/maps");
  uint64_t lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

double thread_cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Writes without pause to pages that nobody can merge; a busy vCPU of the same process.
class BusyWriter {
 public:
  BusyWriter(std::byte* memory, const std::vector<uint64_t>& contents) {
    for (uint64_t i = 0; i < contents.size(); ++i) {
      if (contents[i] >= uint64_t{1} << 40 && frames_.size() < 2048) frames_.push_back(memory + i * kPageBytes);
    }
    thread_ = std::thread([this] {
      uint64_t number = 0;
      while (!stop_) {
        auto* const word = reinterpret_cast<volatile uint64_t*>(frames_[number % frames_.size()] + number % 512 * 8);
        *word = ++number << 32 | 1;
      }
    });
  }
  BusyWriter(const BusyWriter&) = delete;
  BusyWriter& operator=(const BusyWriter&) = delete;
  ~BusyWriter() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::vector<std::byte*> frames_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Microseconds that a first write to a merged page takes, for pages here and there.
void measure_breaks(std::byte* memory, const std::vector<uint64_t>& contents, std::map<std::string, double>& out) {
  std::vector<double> times;
  std::mt19937_64 random(3);
  while (times.size() < 2000) {
    const uint64_t frame = random() % contents.size();
    if (contents[frame] == 0 || contents[frame] >= uint64_t{1} << 30) continue;
    auto* const word = reinterpret_cast<volatile uint64_t*>(memory + frame * kPageBytes);
    const auto begin = Clock::now();
    *word = frame;  // a store and no load: a guest's first fault on the page is the write's
    times.push_back(since(begin) * 1e6);
  }
  out["cow_break_p50_us"] = percentile(times, 50);
  out["cow_break_p99_us"] = percentile(times, 99);
}

using Result = std::map<std::string, double>;

Result merge_with_ours(const Image& image, const std::vector<uint64_t>& contents, uint64_t most) {
  Result result;
  std::string error;
  const auto domain = ksm::LocalDomain::create(static_cast<uint32_t>(2 * image.frames()), &error);
  ksm::testing::MergedMemory memory(*domain, image.frames());
  for (uint64_t i = 0; i < contents.size(); ++i) fill_page(memory.at(i), contents[i]);
  const uint64_t before = pss_bytes();
  std::optional<BusyWriter> writer;
  if (image.writer) writer.emplace(memory.at(0), contents);

  const auto begin = Clock::now();
  const double cpu = thread_cpu_seconds();
  int passes = 0;
  const auto saved = [&] {
    const auto stats = domain->stats();
    return stats.users - stats.slots_filled + memory.stats().zeros;
  };
  uint64_t best = 0;
  int fruitless = 0;
  while (saved() < most * 99 / 100 && fruitless < 3) {
    if (memory.scanner().step(16384).pass_ended) {
      ++passes;
      fruitless = saved() > best ? 0 : fruitless + 1;
      best = std::max(best, saved());
    }
  }
  result["seconds_to_99_per_cent"] = saved() < most * 99 / 100 ? kNever : since(begin);
  result["cpu_seconds_to_99_per_cent"] = thread_cpu_seconds() - cpu;
  while (!memory.scanner().step(UINT64_MAX).pass_ended) {
  }
  while (!memory.scanner().step(UINT64_MAX).pass_ended) {
  }
  const double idle = thread_cpu_seconds();
  while (!memory.scanner().step(UINT64_MAX).pass_ended) {
  }
  result["idle_pass_cpu_seconds"] = thread_cpu_seconds() - idle;
  writer.reset();
  result["saved_of_possible_per_cent"] = 100.0 * static_cast<double>(saved()) / static_cast<double>(most);
  result["freed_mib"] = static_cast<double>(before - std::min(before, pss_bytes())) / MiB;
  result["areas"] = static_cast<double>(count_areas());
  for (uint64_t i = 0; i < contents.size(); i += 997) {
    if (contents[i] < uint64_t{1} << 40 && !holds_page(memory.at(i), contents[i])) {
      throw std::runtime_error("a page does not hold what it should");
    }
  }
  measure_breaks(memory.at(0), contents, result);
  return result;
}

Result merge_with_ksmd(const Image& image, const std::vector<uint64_t>& contents, uint64_t most, Ksmd& ksmd,
                       Ksmd::Pace pace) {
  Result result;
  ksm::testing::Memory memory(image.frames());
  for (uint64_t i = 0; i < contents.size(); ++i) fill_page(memory.at(i), contents[i]);
  const uint64_t before = pss_bytes();
  std::optional<BusyWriter> writer;
  if (image.writer) writer.emplace(memory.begin(), contents);

  const auto begin = Clock::now();
  const double cpu = ksmd.cpu_seconds();
  if (::madvise(memory.begin(), image.frames() * kPageBytes, MADV_MERGEABLE) != 0) {
    throw std::runtime_error("MADV_MERGEABLE failed");
  }
  ksmd.start(pace);
  const auto limit = pace == Ksmd::Pace::kMaxedOut ? 120s : 900s;
  while (Ksmd::saved_frames() < most * 99 / 100 && Clock::now() - begin < limit) std::this_thread::sleep_for(10ms);
  result["seconds_to_99_per_cent"] = Ksmd::saved_frames() < most * 99 / 100 ? kNever : since(begin);
  result["cpu_seconds_to_99_per_cent"] = ksmd.cpu_seconds() - cpu;
  if (pace == Ksmd::Pace::kMaxedOut) {
    const auto wait_for_scans = [limit](uint64_t count) {
      const uint64_t end = Ksmd::full_scans() + count;
      const auto give_up = Clock::now() + limit;
      while (Ksmd::full_scans() < end) {
        if (Clock::now() > give_up) throw std::runtime_error("ksmd does not get through a pass");
        std::this_thread::sleep_for(1ms);
      }
    };
    wait_for_scans(2);
    const double idle = ksmd.cpu_seconds();
    wait_for_scans(4);
    result["idle_pass_cpu_seconds"] = (ksmd.cpu_seconds() - idle) / 4;
  }
  writer.reset();
  result["saved_of_possible_per_cent"] = 100.0 * static_cast<double>(Ksmd::saved_frames()) / static_cast<double>(most);
  result["freed_mib"] = static_cast<double>(before - std::min(before, pss_bytes())) / MiB;
  result["areas"] = static_cast<double>(count_areas());
  measure_breaks(memory.begin(), contents, result);
  ksmd.unmerge();
  return result;
}

// In a process of its own, so that every image begins with a fresh address space.
Result in_child(const std::function<Result()>& measure) {
  int channel[2];
  if (::pipe(channel) != 0) throw std::runtime_error("pipe failed");
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text;
    try {
      text = nlohmann::json(measure()).dump();
    } catch (const std::exception& error) {
      text = nlohmann::json{{"error", error.what()}}.dump();
    }
    (void)!::write(channel[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(channel[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(channel[0], buffer, sizeof buffer)) > 0;) text.append(buffer, buffer + count);
  ::close(channel[0]);
  ::waitpid(child, nullptr, 0);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || json.contains("error")) throw std::runtime_error("a measurement failed: " + text);
  return json.get<Result>();
}

constexpr const char* kRows[] = {"seconds_to_99_per_cent",
                                 "cpu_seconds_to_99_per_cent",
                                 "idle_pass_cpu_seconds",
                                 "saved_of_possible_per_cent",
                                 "freed_mib",
                                 "areas",
                                 "cow_break_p50_us",
                                 "cow_break_p99_us"};

int bench(const Image& image, int rounds, bool defaults, bool json) {
  const auto contents = image.contents();
  const uint64_t most = possible(contents);
  Ksmd ksmd;
  std::map<std::string, std::map<std::string, std::vector<double>>> samples;  // by merger, by row
  const auto keep = [&](const std::string& who, const Result& result) {
    for (const auto& [row, value] : result) samples[who][row].push_back(value);
  };
  for (int round = 1; round <= rounds; ++round) {
    std::fprintf(stderr, "round %d of %d\n", round, rounds);
    keep("twofold", in_child([&] { return merge_with_ours(image, contents, most); }));
    keep("ksmd", in_child([&] { return merge_with_ksmd(image, contents, most, ksmd, Ksmd::Pace::kMaxedOut); }));
    if (defaults && round == 1) {
      keep("ksmd_defaults",
           in_child([&] { return merge_with_ksmd(image, contents, most, ksmd, Ksmd::Pace::kDefault); }));
    }
  }
  nlohmann::json out = {{"rounds", rounds},
                        {"image_mib", image.mib},
                        {"writer", image.writer},
                        {"possible_mib", static_cast<double>(most) / 256}};
  for (const auto& [who, rows] : samples) {
    for (const auto& [row, values] : rows) out[who][row] = median(values);  // kNever: not at all
  }
  if (json) {
    std::printf("%s\n", out.dump(2).c_str());
    return 0;
  }
  std::printf("medians of %d rounds; an image of %lu MiB, of which %.0f MiB can be saved%s\n\n", rounds, image.mib,
              static_cast<double>(most) / 256, image.writer ? "; beside a busy writer" : "");
  std::printf("%-30s %12s %12s %8s%s\n", "", "twofold", "ksmd, max", "ratio", defaults ? "   ksmd, defaults" : "");
  for (const char* row : kRows) {
    const double ours = out["twofold"][row];
    const double theirs = out["ksmd"][row];
    if (ours >= kNever || theirs >= kNever) {
      const auto text = [](double seconds) { return seconds >= kNever ? "never" : fmt::format("{:.3f}", seconds); };
      std::printf("%-30s %12s %12s %8s", row, text(ours).c_str(), text(theirs).c_str(), "");
    } else {
      std::printf("%-30s %12.3f %12.3f %8.2f", row, ours, theirs, ours / theirs);
    }
    if (defaults && out["ksmd_defaults"].contains(row)) {
      std::printf("   %14.3f", out["ksmd_defaults"][row].get<double>());
    }
    std::printf("\n");
  }
  return 0;
}

}  // namespace
}  // namespace twofold::bench

int main(int argc, char** argv) {
  twofold::bench::Image image;
  int rounds = 3;
  bool defaults = false;
  bool json = false;
  bool good = true;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&](const char* format, auto* value) { return std::sscanf(argv[i], format, value) == 1; };
    if (word == "--json") {
      json = true;
    } else if (word == "--writer") {
      image.writer = true;
    } else if (word == "--defaults") {
      defaults = true;
    } else {
      good &= number("--rounds=%d", &rounds) || number("--mib=%lu", &image.mib) || number("--zero=%lu", &image.zero) ||
              number("--same=%lu", &image.same) || number("--scattered=%lu", &image.scattered);
    }
  }
  good &= rounds > 0 && image.mib >= 16 && image.zero + image.same + image.scattered < 100;
  if (!good) {
    std::fprintf(
        stderr,
        "usage: bench_merge_vs_ksmd [--rounds=N] [--mib=N] [--zero=PER_CENT] [--same=…] [--scattered=…] [--writer]\n"
        "                           [--defaults] [--json]     (needs root; --defaults takes minutes)\n");
    return 2;
  }
  try {
    return twofold::bench::bench(image, rounds, defaults, json);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_merge_vs_ksmd: %s\n", error.what());
    return 1;
  }
}
