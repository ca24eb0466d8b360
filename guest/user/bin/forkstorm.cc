// forkstorm: generations of children that share their parent's memory copy-on-write, write to some of it, and check
// that they see their own writes and nobody else's.
#include "guest/user/ulib/meter.h"
#include "guest/user/ulib/options.h"
#include "guest/user/ulib/pattern.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/random.h"
#include "guest/user/ulib/reserve.h"
#include "guest/user/ulib/syscall.h"

namespace {

constexpr uint32_t kWordsPerPage = guest_abi::kPageSize / 4;
constexpr uint32_t kWritesOfAChild = 32;

uint32_t mib = 1;
uint32_t children = 8;
uint32_t seconds = 10;
uint32_t rounds = 0;
uint32_t seed = 1;
uint32_t* memory = nullptr;

void parse(int argc, char** argv) {
  const ulib::Option options[] = {
      {"children", &children, guest_abi::kMaxProcs - 8, nullptr, "that live at once"},
      {"seconds", &seconds, 86400, nullptr, "how long; 0: until --rounds are done"},
      {"rounds", &rounds, 1000000, nullptr, "of children in all; 0: no end"},
      {"seed", &seed, UINT32_MAX, nullptr, "of what is written where"},
  };
  ulib::parse_options(
      argc, argv,
      {"forkstorm", "MIB", &mib, 256,
       "Forks children that share MIB of memory copy-on-write, write to it and check it. Counts forks."},
      options);
}

uint32_t* page_at(uint32_t page) {
  return memory + page * kWordsPerPage;
}

bool is_right(uint32_t page, uint32_t owner) {
  return ulib::wrong_words(page_at(page), kWordsPerPage, ulib::pattern_seed(owner, page, seed)) == 0;
}

// Writes to some pages, lets others run, and looks at all of them. Returns its exit status.
int32_t be_a_child(uint32_t self) {
  const uint32_t pages = mib * ulib::kPagesPerMib;
  const uint32_t stride = pages / kWritesOfAChild + 1;
  const uint32_t first = self % stride;
  for (uint32_t page = first; page < pages; page += stride) {
    ulib::fill_pattern(page_at(page), kWordsPerPage, ulib::pattern_seed(self, page, seed));
  }
  ulib::sleep_ticks(1);
  for (uint32_t page = 0; page < pages; ++page) {
    const bool own = page % stride == first;
    if (!is_right(page, own ? self : 0)) {
      ulib::print("forkstorm: WRONG: child %u finds page %u not as %s wrote it\n", self, page,
                  own ? "it" : "its parent");
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  parse(argc, argv);
  const uint32_t pages = mib * ulib::kPagesPerMib;
  memory = reinterpret_cast<uint32_t*>(ulib::reserve_or_die("forkstorm", pages));
  for (uint32_t page = 0; page < pages; ++page) {
    ulib::fill_pattern(page_at(page), kWordsPerPage, ulib::pattern_seed(0, page, seed));
  }
  ulib::Meter meter("forkstorm", "forks", seconds);
  for (uint32_t round = 1; !meter.is_over() && (rounds == 0 || round <= rounds); ++round) {
    uint32_t started = 0;
    for (; started < children; ++started) {
      const int32_t pid = ulib::fork();
      if (pid == 0) ulib::exit(be_a_child(round * children + started));
      if (pid < 0) ulib::die("forkstorm: fork: %s", ulib::error_text(pid));
    }
    for (; started > 0; --started) {
      int32_t status = 0;
      ulib::wait(&status);
      if (status != 0) ulib::die("forkstorm: a child ended with status %d", status);
      meter.count(1);
    }
  }
  for (uint32_t page = 0; page < pages; ++page) {
    if (!is_right(page, 0)) ulib::die("forkstorm: WRONG: page %u of the parent has changed", page);
  }
  meter.finish("verified");
  return 0;
}
