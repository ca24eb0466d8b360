// idle MIB: fills that much memory and then does nothing: what a good policy takes away first.
#include "guest/user/ulib/options.h"
#include "guest/user/ulib/pattern.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/reserve.h"
#include "guest/user/ulib/syscall.h"
#include "guest/user/ulib/time.h"

namespace {

constexpr uint32_t kWordsPerPage = guest_abi::kPageSize / 4;

uint32_t mib = 0;
uint32_t seconds = 0;
uint32_t seed = 1;

void parse(int argc, char** argv) {
  const ulib::Option options[] = {
      {"seconds", &seconds, 86400, nullptr, "then checks what it holds, and ends; 0: until killed"},
      {"seed", &seed, UINT32_MAX, nullptr, "of the content"},
  };
  ulib::parse_options(argc, argv, {"idle", "MIB", &mib, 1024, "Holds MIB of memory, and does nothing."}, options);
}

}  // namespace

int main(int argc, char** argv) {
  parse(argc, argv);
  const uint32_t pages = mib * ulib::kPagesPerMib;
  auto* const memory = reinterpret_cast<uint32_t*>(ulib::reserve_or_die("idle", pages));
  for (uint32_t page = 0; page < pages; ++page) {
    ulib::fill_pattern(memory + page * kWordsPerPage, kWordsPerPage, ulib::pattern_seed(seed, page, 0));
  }
  ulib::print("idle: holds %u MiB\n", mib);
  do {
    ulib::sleep_hundredths(seconds > 0 ? seconds * 100 : ulib::kMaxHundredths);
  } while (seconds == 0);
  for (uint32_t page = 0; page < pages; ++page) {
    const uint32_t page_seed = ulib::pattern_seed(seed, page, 0);
    if (ulib::wrong_words(memory + page * kWordsPerPage, kWordsPerPage, page_seed) > 0) {
      ulib::die("idle: WRONG: page %u is not as written", page);
    }
  }
  ulib::print("idle: %u MiB unchanged after %u s, verified\n", mib, seconds);
  return 0;
}
