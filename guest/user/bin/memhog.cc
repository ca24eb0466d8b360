// memhog MIB: touches that much memory, in a pattern and at a rate, and checks each page before it writes it again.
#include "guest/user/ulib/meter.h"
#include "guest/user/ulib/options.h"
#include "guest/user/ulib/pattern.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/random.h"
#include "guest/user/ulib/reserve.h"
#include "guest/user/ulib/syscall.h"
#include "guest/user/ulib/time.h"

namespace {

constexpr uint32_t kWordsPerPage = guest_abi::kPageSize / 4;
enum Pattern : uint32_t { kSequential, kRandom, kZipf };
constexpr const char* kPatterns[] = {"seq", "random", "zipf", nullptr};

uint32_t mib = 0;
uint32_t seconds = 10;
uint32_t passes = 0;
uint32_t rate = 0;
uint32_t seed = 1;
uint32_t pattern = kSequential;

void parse(int argc, char** argv) {
  const ulib::Option options[] = {
      {"seconds", &seconds, 86400, nullptr, "how long; 0: until --passes are done, or until killed"},
      {"passes", &passes, 1000000, nullptr, "touches in all, as a multiple of the memory; 0: no end"},
      {"rate", &rate, 1024, nullptr, "MiB a second at most; 0: as fast as it goes"},
      {"pattern", &pattern, 0, kPatterns, "order of the pages: seq, random, or zipf"},
      {"seed", &seed, UINT32_MAX, nullptr, "of the order and the content"},
  };
  ulib::parse_options(
      argc, argv,
      {"memhog", "MIB", &mib, 1024,
       "Writes MIB of memory page by page, over and over; each page is checked before it is written again."},
      options);
}

// Sleeps if more pages were touched than the rate allows until now.
void keep_to_rate(uint32_t touched, uint32_t start) {
  if (rate == 0 || touched % 64 != 0) return;
  const uint32_t ticks = ulib::ticks_per_second();
  const uint32_t pages_per_tick = rate * ulib::kPagesPerMib / ticks > 0 ? rate * ulib::kPagesPerMib / ticks : 1;
  const uint32_t due = touched / pages_per_tick;
  const uint32_t spent = ulib::uptime_ticks() - start;
  if (due > spent) ulib::sleep_ticks(due - spent);
}

}  // namespace

int main(int argc, char** argv) {
  parse(argc, argv);
  const uint32_t pages = mib * ulib::kPagesPerMib;
  auto* const memory = reinterpret_cast<uint32_t*>(ulib::reserve_or_die("memhog", pages));
  auto* const versions =
      reinterpret_cast<uint32_t*>(ulib::reserve_or_die("memhog", (pages + kWordsPerPage - 1) / kWordsPerPage));
  ulib::Random random(seed);
  ulib::Zipf zipf(pages, seed);
  ulib::Meter meter("memhog", "pages", seconds);
  const uint32_t start = ulib::uptime_ticks();
  const auto check = [&](uint32_t page) {
    if (versions[page] == 0) return;
    const uint32_t page_seed = ulib::pattern_seed(seed, page, versions[page]);
    if (ulib::wrong_words(memory + page * kWordsPerPage, kWordsPerPage, page_seed) == 0) return;
    ulib::die("memhog: WRONG: page %u at %p is not as written", page,
              static_cast<void*>(memory + page * kWordsPerPage));
  };
  while (!meter.is_over() && (passes == 0 || meter.total() < passes * pages)) {
    uint32_t page = meter.total() % pages;
    if (pattern == kRandom) page = random.below(pages);
    if (pattern == kZipf) page = zipf.next() * 7919 % pages;
    check(page);
    ++versions[page];
    ulib::fill_pattern(memory + page * kWordsPerPage, kWordsPerPage, ulib::pattern_seed(seed, page, versions[page]));
    meter.count(1);
    keep_to_rate(meter.total(), start);
  }
  for (uint32_t page = 0; page < pages; ++page) check(page);
  meter.finish("verified");
  return 0;
}
