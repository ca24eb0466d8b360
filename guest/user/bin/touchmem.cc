// touchmem MIB [SECONDS]: touches that much heap, page by page, with a pattern that depends on the address, reads it
// all back, says how fast that went and what it took in page faults, and holds the memory for SECONDS.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"
#include "guest/user/ulib/time.h"

namespace {

constexpr uint32_t kPageSize = guest_abi::kPageSize;
constexpr uint32_t kPagesPerMib = 1024 * 1024 / kPageSize;

// The address that the demo and the documentation walk: this array gives it a page in every touchmem.
constexpr uint32_t kWalkedAddress = 0x5123;
alignas(kPageSize) uint8_t low_pages[8 * kPageSize];

uint32_t pattern(uint32_t address) {
  return address * 2654435761U ^ 0x5a5aa5a5U;
}

void touch_low_pages() {
  for (uint32_t offset = 0; offset < sizeof(low_pages); offset += kPageSize) low_pages[offset] = 0x5a;
  const uint32_t start = ulib::address_of(low_pages);
  if (kWalkedAddress < start || kWalkedAddress >= start + sizeof(low_pages)) {
    ulib::die("touchmem: %p is outside its array at %p: link it lower", reinterpret_cast<void*>(kWalkedAddress),
              static_cast<void*>(low_pages));
  }
  *reinterpret_cast<volatile uint8_t*>(kWalkedAddress) = 0x23;
}

// Four words a page, spread out: the first touch brings the page, the others make its content its own.
void write_pages(uint8_t* base, uint32_t pages) {
  for (uint32_t page = 0; page < pages; ++page) {
    for (uint32_t offset = 0; offset < kPageSize; offset += kPageSize / 4) {
      auto* word = reinterpret_cast<uint32_t*>(base + page * kPageSize + offset);
      *word = pattern(ulib::address_of(word));
    }
  }
}

// Pages that do not read back as written.
uint32_t count_wrong_pages(const uint8_t* base, uint32_t pages) {
  uint32_t wrong = 0;
  for (uint32_t page = 0; page < pages; ++page) {
    bool right = true;
    for (uint32_t offset = 0; offset < kPageSize; offset += kPageSize / 4) {
      const auto* word = reinterpret_cast<const volatile uint32_t*>(base + page * kPageSize + offset);
      right = right && *word == pattern(ulib::address_of(word));
    }
    if (!right) ++wrong;
  }
  return wrong;
}

// Reserves whole pages of heap, page-aligned.
uint8_t* reserve(uint32_t pages) {
  const uint32_t current = static_cast<uint32_t>(ulib::sbrk(0));
  const uint32_t gap = (kPageSize - current % kPageSize) % kPageSize;
  const int32_t result = ulib::sbrk(static_cast<int32_t>(gap + pages * kPageSize));
  if (result < 0) {
    ulib::die("touchmem: cannot reserve %u MiB: %s", pages / kPagesPerMib, ulib::error_text(result));
  }
  return reinterpret_cast<uint8_t*>(static_cast<uint32_t>(result) + gap);
}

void print_figures(uint32_t pages, uint32_t ticks, uint32_t faults) {
  const uint32_t rate = ulib::ticks_per_second();
  const uint32_t mib = pages / kPagesPerMib;
  const uint32_t counted = ticks == 0 ? 1 : ticks;  // faster than the clock: "at least"
  const uint32_t tenths = mib * 10 * rate / counted;
  ulib::print("touchmem: %u MiB in %u.%02u s, %s%u.%u MiB/s, %u page faults (%u pages), verified\n", mib, ticks / rate,
              ticks % rate * 100 / rate, ticks == 0 ? "over " : "", tenths / 10, tenths % 10, faults, pages);
}

}  // namespace

int main(int argc, char** argv) {
  uint32_t mib = 0;
  uint32_t hold = 0;
  const bool usable = argc >= 2 && argc <= 3 && ulib::parse_number(argv[1], 1024, &mib) && mib > 0 &&
                      (argc < 3 || ulib::parse_hundredths(argv[2], ulib::kMaxHundredths, &hold));
  if (!usable) ulib::die("usage: touchmem MIB [SECONDS], with 1 to 1024 MiB");

  touch_low_pages();
  const uint32_t pages = mib * kPagesPerMib;
  uint8_t* base = reserve(pages);

  guest_abi::MemStat before = {};
  guest_abi::MemStat after = {};
  ulib::memstat(&before, sizeof(before));
  const uint32_t start = ulib::uptime_ticks();
  write_pages(base, pages);
  const uint32_t ticks = ulib::uptime_ticks() - start;
  ulib::memstat(&after, sizeof(after));

  const uint32_t wrong = count_wrong_pages(base, pages);
  if (wrong > 0) ulib::die("touchmem: %u of %u pages do not read back as written", wrong, pages);
  print_figures(pages, ticks, after.faults_zero - before.faults_zero);

  if (hold > 0) {
    ulib::sleep_hundredths(hold);
    const uint32_t changed = count_wrong_pages(base, pages);
    if (changed > 0) ulib::die("touchmem: %u of %u pages changed while held", changed, pages);
    ulib::print("touchmem: %u MiB unchanged after %u.%02u s\n", mib, hold / 100, hold % 100);
  }
  return 0;
}
