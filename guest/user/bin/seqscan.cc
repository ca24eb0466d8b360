// seqscan MIB: writes that much memory from end to end, then reads it from end to end, pass after pass. With more
// memory than there is, that is what a swap disk is best at, and what any order of victims by age is worst at.
#include "guest/user/ulib/meter.h"
#include "guest/user/ulib/options.h"
#include "guest/user/ulib/pattern.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/reserve.h"
#include "guest/user/ulib/syscall.h"
#include "guest/user/ulib/time.h"

namespace {

constexpr uint32_t kWordsPerPage = guest_abi::kPageSize / 4;

uint32_t mib = 0;
uint32_t passes = 3;
uint32_t write_passes = 1;
uint32_t seed = 1;

void parse(int argc, char** argv) {
  const ulib::Option options[] = {
      {"passes", &passes, 1000000, nullptr, "times that it is read"},
      {"writes", &write_passes, 1000000, nullptr, "times that it is written before"},
      {"seed", &seed, UINT32_MAX, nullptr, "of the content"},
  };
  ulib::parse_options(argc, argv,
                      {"seqscan", "MIB", &mib, 1024,
                       "Writes MIB of memory in order, then reads and checks it in order. A line a pass, with MiB/s."},
                      options);
}

void print_pass(const char* what, uint32_t start, const guest_abi::MemStat& before) {
  guest_abi::MemStat now = {};
  ulib::memstat(&now, sizeof(now));
  const uint32_t rate = ulib::ticks_per_second();
  const uint32_t ticks = ulib::uptime_ticks() - start > 0 ? ulib::uptime_ticks() - start : 1;
  const uint32_t tenths = mib * rate * 10 / ticks;
  ulib::print("seqscan: %s %u MiB in %u.%02u s, %u.%u MiB/s; %u pages in, %u out\n", what, mib, ticks / rate,
              ticks % rate * 100 / rate, tenths / 10, tenths % 10, now.swap_ins - before.swap_ins,
              now.swap_outs - before.swap_outs);
}

}  // namespace

int main(int argc, char** argv) {
  parse(argc, argv);
  const uint32_t pages = mib * ulib::kPagesPerMib;
  auto* const memory = reinterpret_cast<uint32_t*>(ulib::reserve_or_die("seqscan", pages));
  guest_abi::MemStat before = {};
  for (uint32_t pass = 1; pass <= write_passes; ++pass) {
    ulib::memstat(&before, sizeof(before));
    const uint32_t start = ulib::uptime_ticks();
    for (uint32_t page = 0; page < pages; ++page) {
      ulib::fill_pattern(memory + page * kWordsPerPage, kWordsPerPage, ulib::pattern_seed(seed, page, pass));
    }
    print_pass("wrote", start, before);
  }
  for (uint32_t pass = 0; pass < passes; ++pass) {
    ulib::memstat(&before, sizeof(before));
    const uint32_t start = ulib::uptime_ticks();
    for (uint32_t page = 0; page < pages; ++page) {
      const uint32_t page_seed = ulib::pattern_seed(seed, page, write_passes);
      const uint32_t* const words = memory + page * kWordsPerPage;
      if (write_passes > 0 && ulib::wrong_words(words, kWordsPerPage, page_seed) > 0) {
        ulib::die("seqscan: WRONG: page %u is not as written", page);
      }
      if (write_passes == 0 && *static_cast<const volatile uint32_t*>(words) != 0) {
        ulib::die("seqscan: WRONG: page %u is not zero", page);
      }
    }
    print_pass("read", start, before);
  }
  return 0;
}
