// vmstat [SECONDS [COUNT]]: what memory is used for, and what paging does, a line each so many seconds. Without
// SECONDS, one line with the totals since boot.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"
#include "guest/user/ulib/time.h"

namespace {

constexpr uint32_t kLinesBetweenHeads = 20;

void print_help() {
  ulib::print(
      "usage: vmstat [SECONDS [COUNT]]\n"
      "Memory in KiB, then what happened in each period (without SECONDS: since boot):\n"
      "  free user ptab cache  free; mapped by processes; their page tables; swap cache that nobody maps\n"
      "  swap                  used of the swap disk\n"
      "  minor major           page faults served from memory, and from the swap disk\n"
      "  in out                pages read from and written to it\n"
      "  scan drop stall       pages that reclaim looked at, and dropped without a write; processes that had to wait "
      "for it\n"
      "  oom                   processes killed for want of memory\n");
}

guest_abi::MemStat read_stat() {
  guest_abi::MemStat stat = {};
  const int32_t result = ulib::memstat(&stat, sizeof(stat));
  if (result < 0) ulib::die("vmstat: %s", ulib::error_text(result));
  return stat;
}

uint32_t minor_faults(const guest_abi::MemStat& stat) {
  return stat.faults_zero + stat.faults_file + stat.faults_cow + stat.faults_cache;
}

void print_head() {
  ulib::print("%8s %8s %6s %6s %8s %7s %6s %6s %6s %7s %6s %5s %3s\n", "free", "user", "ptab", "cache", "swap", "minor",
              "major", "in", "out", "scan", "drop", "stall", "oom");
}

void print_line(const guest_abi::MemStat& now, const guest_abi::MemStat& then) {
  ulib::print("%8u %8u %6u %6u %8u %7u %6u %6u %6u %7u %6u %5u %3u\n", now.free * 4, now.user * 4, now.page_table * 4,
              now.cache * 4, now.swap_used * 4, minor_faults(now) - minor_faults(then),
              now.faults_swap - then.faults_swap, now.swap_ins - then.swap_ins, now.swap_outs - then.swap_outs,
              now.scanned - then.scanned, now.dropped - then.dropped, now.stalls - then.stalls,
              now.oom_kills - then.oom_kills);
}

}  // namespace

int main(int argc, char** argv) {
  uint32_t seconds = 0;
  uint32_t count = UINT32_MAX;
  if (argc == 2 && ulib::equal(argv[1], "--help")) {
    print_help();
    return 0;
  }
  const bool usable = argc <= 3 && (argc < 2 || (ulib::parse_number(argv[1], 86400, &seconds) && seconds > 0)) &&
                      (argc < 3 || ulib::parse_number(argv[2], UINT32_MAX, &count));
  if (!usable) ulib::die("usage: vmstat [SECONDS [COUNT]]; see vmstat --help");
  print_head();
  guest_abi::MemStat then = {};
  if (seconds == 0) {
    print_line(read_stat(), then);
    return 0;
  }
  then = read_stat();
  for (uint32_t line = 0; line < count; ++line) {
    if (line > 0 && line % kLinesBetweenHeads == 0) print_head();
    ulib::sleep_hundredths(seconds * 100);
    const guest_abi::MemStat now = read_stat();
    print_line(now, then);
    then = now;
  }
  return 0;
}
