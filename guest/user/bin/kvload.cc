// kvload MIB: a store of values in a hash table, read and written with the frequencies of Zipf's law. Each value
// follows from its key and its version, and every read checks all of it.
#include "guest/user/ulib/meter.h"
#include "guest/user/ulib/options.h"
#include "guest/user/ulib/pattern.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/random.h"
#include "guest/user/ulib/reserve.h"

namespace {

uint32_t mib = 0;
uint32_t operations = 0;
uint32_t seconds = 0;
uint32_t write_percent = 20;
uint32_t value_bytes = 1024;
uint32_t seed = 1;

constexpr uint32_t kMaxMib = 1024;
constexpr uint32_t kMinValueBytes = 16;
constexpr uint32_t kMaxValueBytes = 4096;

// Open addressing with linear probing; never more than half full, and nothing is ever taken out.
class Table {
 public:
  struct Entry {
    uint32_t key;  // 0: free
    uint32_t version;
    uint32_t* value;
  };

  // REQUIRES: count < 2^30
  explicit Table(uint32_t count) {
    while (size_ < 2 * count) size_ *= 2;
    const uint32_t pages = (size_ * sizeof(Entry) + guest_abi::kPageSize - 1) / guest_abi::kPageSize;
    entries_ = reinterpret_cast<Entry*>(ulib::reserve_or_die("kvload", pages));
  }

  // The key's entry, or the free one where it belongs. REQUIRES: key != 0
  Entry& find(uint32_t key) {
    uint32_t index = (key * 2654435769u >> 7) & (size_ - 1);
    while (entries_[index].key != 0 && entries_[index].key != key) index = (index + 1) & (size_ - 1);
    return entries_[index];
  }

 private:
  uint32_t size_ = 16;
  Entry* entries_ = nullptr;
};

void write_value(const Table::Entry& entry) {
  ulib::fill_pattern(entry.value, value_bytes / 4, ulib::pattern_seed(seed, entry.key, entry.version));
}

void check_value(const Table::Entry& entry) {
  const uint32_t wrong =
      ulib::wrong_words(entry.value, value_bytes / 4, ulib::pattern_seed(seed, entry.key, entry.version));
  if (wrong == 0) return;
  ulib::die("kvload: WRONG: %u of %u words of key %u, version %u, at %p are not as written", wrong, value_bytes / 4,
            entry.key, entry.version, static_cast<void*>(entry.value));
}

// Keys by rank, so scattered that values which are often used lie everywhere in memory. Any step that shares no factor
// with the count reaches every key once.
uint32_t key_of(uint32_t rank, uint32_t count) {
  uint32_t step = 7919;
  if (count % step == 0) step = 7907;
  return rank * step % count + 1;
}

void parse(int argc, char** argv) {
  const ulib::Option options[] = {
      {"ops", &operations, UINT32_MAX, nullptr, "operations in all; 0 with no --seconds: until killed"},
      {"seconds", &seconds, 86400, nullptr, "how long; 0: until --ops are done"},
      {"writes", &write_percent, 100, nullptr, "per cent of the operations that write"},
      {"value", &value_bytes, kMaxValueBytes, nullptr, "bytes of a value"},
      {"seed", &seed, UINT32_MAX, nullptr, "of the choice of keys, and of the values"},
  };
  ulib::parse_options(
      argc, argv,
      {"kvload", "MIB", &mib, kMaxMib,
       "A hash table with MIB of values, read and written with Zipf's frequencies; every read is checked.\n"
       "Prints operations a second, each second, and ends with status 1 at the first wrong byte."},
      options);
  if (value_bytes < kMinValueBytes || value_bytes % 4 != 0) {
    ulib::die("kvload: --value must be a multiple of 4, and at least %u", kMinValueBytes);
  }
}

}  // namespace

int main(int argc, char** argv) {
  parse(argc, argv);
  const uint32_t count = mib * (1024 * 1024 / value_bytes);
  Table table(count);
  uint8_t* const values = ulib::reserve_or_die("kvload", mib * ulib::kPagesPerMib);
  for (uint32_t key = 1; key <= count; ++key) {
    Table::Entry& entry = table.find(key);
    entry = {key, 0, reinterpret_cast<uint32_t*>(values + (key - 1) * value_bytes)};
    write_value(entry);
  }
  ulib::print("kvload: %u values of %u bytes are there\n", count, value_bytes);

  ulib::Zipf ranks(count, seed);
  ulib::Random dice(seed + 1);
  ulib::Meter meter("kvload", "operations", seconds);
  while ((operations == 0 || meter.total() < operations) && !meter.is_over()) {
    Table::Entry& entry = table.find(key_of(ranks.next(), count));
    check_value(entry);
    if (dice.below(100) < write_percent) {
      ++entry.version;
      write_value(entry);
    }
    meter.count(1);
  }
  for (uint32_t key = 1; key <= count; ++key) check_value(table.find(key));
  meter.finish("verified");
  return 0;
}
