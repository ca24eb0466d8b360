// Merging under a guest that writes to the merged pages without end, on real page tables of both dimensions.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <thread>

#include "ksm/local_domain.h"
#include "ksm/scanner.h"
#include "tests/kvm/tiny_guest.h"

namespace twofold {
namespace {

using namespace std::chrono_literals;
using testing::out_value;
using testing::TinyGuest;

constexpr uint64_t kFirst = 0x10000;  // the pages that it counts in
constexpr uint64_t kPages = 200;
constexpr uint64_t kWord = 0x40;  // where in each
constexpr uint16_t kRoundPort = 0x80;
constexpr uint64_t kStop = 0x9000;  // a word that ends it

// Adds one to a word of every page, waits a little, and begins again; at the end it tells how many rounds there were.
constexpr std::array<uint8_t, 50> kCount = {
    0x31, 0xd2,                                // xor edx, edx
    0xbf, 0x00, 0x00, 0x01, 0x00,              // round: mov edi, kFirst
    0xb9, 0xc8, 0x00, 0x00, 0x00,              // mov ecx, kPages
    0xff, 0x47, 0x40,                          // page: inc dword [edi + kWord]
    0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,        // add edi, 0x1000
    0x49,                                      // dec ecx
    0x75, 0xf4,                                // jnz page
    0x42,                                      // inc edx
    0xb8, 0x00, 0x00, 0x02, 0x00,              // mov eax, 0x20000
    0x48,                                      // wait: dec eax
    0x75, 0xfd,                                // jnz wait
    0xe6, 0x80,                                // out 0x80, al: an exit a round, see below
    0x83, 0x3d, 0x00, 0x90, 0x00, 0x00, 0x00,  // cmp dword [kStop], 0
    0x74, 0xd6,                                // je round
    0x89, 0xd0,                                // mov eax, edx
    0xe7, 0xf4,                                // out 0xf4, eax
};

struct Counted {
  uint64_t wrong = 0;
  uint64_t merged = 0;
  uint32_t rounds = 0;
};

// Until so much time has passed and so many merges were made; but no longer than `limit`.
Counted merge_while_it_counts(ksm::WriteProtection protection, uint64_t merges, std::chrono::seconds time,
                              std::chrono::seconds limit) {
  TinyGuest guest(kCount);
  std::string error;
  const auto domain = ksm::LocalDomain::create(1024, &error);
  EXPECT_TRUE(domain) << error;
  ksm::Mapping mapping(guest.memory.hva_base(), guest.memory.bytes() / kPageSize);
  EXPECT_TRUE(mapping.start_merging(&error)) << error;
  const auto membership = domain->join();
  ksm::Merger merger(mapping, *membership, ksm::AreaBudget::of_this_process(), protection);

  uint32_t rounds = 0;
  std::thread vcpu([&] {
    // Bochs has been seen to lose the host's timer where a guest computes without any exit.
    const kvm_run* run = &guest.run();
    while (run->io.port == kRoundPort) run = &guest.run();
    rounds = out_value(*run);
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto passed = [begin] { return std::chrono::steady_clock::now() - begin; };
  while ((merger.stats().merged < merges || passed() < time) && passed() < limit) {
    // A scanner without memory takes every page for one that has come to rest.
    ksm::Scanner scanner(mapping, *membership, merger, *ksm::PageScan::open(&error), {});
    while (!scanner.step(UINT64_MAX).pass_ended) {
    }
  }
  EXPECT_TRUE(guest.memory.write<uint32_t>(Gpa{kStop}, 1));
  vcpu.join();
  Counted counted{0, merger.stats().merged, rounds};
  for (uint64_t page = 0; page < kPages; ++page) {
    const auto bytes = guest.memory.at(Gpa{kFirst + page * kPageSize}, kPageSize);
    bool right = true;
    for (uint64_t at = 0; at < kPageSize; at += 4) {
      uint32_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof word);
      right &= word == (at == kWord ? rounds : 0);
    }
    counted.wrong += right ? 0 : 1;
  }
  return counted;
}

TEST(Kvm, NoWriteOfAGuestIsLostToMerging) {
  const Counted counted = merge_while_it_counts(ksm::WriteProtection::kOn, 500, 5s, 10s);
  EXPECT_EQ(counted.wrong, 0U) << "of " << kPages << " pages, after " << counted.rounds << " rounds";
  EXPECT_GT(counted.merged, 30U);  // few where guest and merger share one processor
  std::printf("  %lu merges in %u rounds of %lu pages: %lu wrong\n", counted.merged, counted.rounds, kPages,
              counted.wrong);
}

// The test above would notice.
TEST(Kvm, WithoutTheWriteProtectionWritesOfAGuestAreLost) {
  if (std::thread::hardware_concurrency() < 2) {
    GTEST_SKIP() << "with one processor the guest hardly ever runs between a comparison and its mapping";
  }
  Counted counted;
  for (int i = 0; i < 10 && counted.wrong == 0; ++i) {
    counted = merge_while_it_counts(ksm::WriteProtection::kLeftOut, 1000, 3s, 6s);
  }
  EXPECT_GT(counted.wrong, 0U);
}

}  // namespace
}  // namespace twofold
