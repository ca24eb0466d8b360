// Writers of every kind against continuous merging, unmerging and discarding: no write may be lost, and nobody may ever
// see a byte that is not its own.
//
// Each frame belongs to one writer, who alone writes to it and keeps what it must hold. So whatever a frame holds that
// its writer did not put there is the merging's doing.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/support/merged_memory.h"

namespace ksm {
namespace {

using testing::fill_page;
using testing::Memory;
using testing::MergedMemory;

constexpr uint64_t kFrames = 2048;
constexpr uint64_t kContents = 12;  // few, so that frames have twins
constexpr int kWriters = 3;

std::chrono::seconds stress_time() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread is started
  const char* const seconds = std::getenv("TWOFOLD_STRESS_SECONDS");
  return std::chrono::seconds(seconds != nullptr ? std::max(std::atoi(seconds), 1) : 6);
}

// How bytes get into memory: each takes its own way through the kernel's page tables.
class Pen {
 public:
  enum class Kind : uint8_t {
    kStore,   // this process's own stores, as a vCPU's
    kRead,    // read(2): the kernel writes on our behalf, as a disk's device does
    kVmWrite  // process_vm_writev(2): through the page tables of another, as a debugger
  };

  explicit Pen(Kind kind) : kind_(kind) {
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair_) != 0) throw std::runtime_error("socketpair failed");
  }
  Pen(const Pen&) = delete;
  Pen& operator=(const Pen&) = delete;
  ~Pen() {
    ::close(pair_[0]);
    ::close(pair_[1]);
  }

  void write(std::byte* to, const std::byte* from, size_t bytes) {
    switch (kind_) {
      case Kind::kStore:
        std::memcpy(to, from, bytes);
        return;
      case Kind::kRead:
        if (::send(pair_[0], from, bytes, 0) != static_cast<ssize_t>(bytes) ||
            ::recv(pair_[1], to, bytes, MSG_WAITALL) != static_cast<ssize_t>(bytes)) {
          throw std::runtime_error("a socket does not carry a page");
        }
        return;
      case Kind::kVmWrite: {
        const iovec local = {const_cast<std::byte*>(from), bytes};
        const iovec remote = {to, bytes};
        if (::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0) != static_cast<ssize_t>(bytes)) {
          throw std::runtime_error("process_vm_writev failed");
        }
      }
    }
  }

 private:
  Kind kind_;
  int pair_[2] = {-1, -1};
};

struct Counts {
  std::atomic<uint64_t> writes = 0;
  std::atomic<uint64_t> checks = 0;
  std::atomic<uint64_t> wrong = 0;
};

// One writer's frames: every kWriters-th one.
class Writer {
 public:
  Writer(MergedMemory& memory, int number, Counts& counts)
      : memory_(memory),
        number_(number),
        counts_(counts),
        pen_(static_cast<Pen::Kind>(number % 3)),
        random_(static_cast<uint64_t>(number) + 1),
        model_(kFrames / kWriters + 1) {
    for (auto& page : model_) page.resize(kPageBytes);
  }

  void run(const std::atomic<bool>& stop) {
    while (!stop) {
      const uint64_t mine = random_() % (kFrames / kWriters);
      act(mine);
      if (random_() % 4 == 0) check(random_() % (kFrames / kWriters));
    }
    for (uint64_t mine = 0; mine < kFrames / kWriters; ++mine) check(mine);
  }

 private:
  [[nodiscard]] uint64_t frame_of(uint64_t mine) const { return mine * kWriters + static_cast<uint64_t>(number_); }

  void act(uint64_t mine) {
    std::byte* const page = memory_.at(frame_of(mine));
    std::vector<std::byte>& model = model_[mine];
    switch (random_() % 8) {
      case 0:
      case 1:
        fill_page(model.data(), random_() % kContents);
        pen_.write(page, model.data(), kPageBytes);
        break;
      case 2:
        if (random_() % 8 == 0) {
          memory_.discard({frame_of(mine), 1});
          fill_page(model.data(), 0);
          break;
        }
        [[fallthrough]];
      default: {  // a word, somewhere
        const uint64_t word = random_();
        const size_t at = random_() % (kPageBytes / 8) * 8;
        std::memcpy(model.data() + at, &word, sizeof word);
        pen_.write(page + at, model.data() + at, sizeof word);
        // And back to what many have, or nothing would ever be merged.
        if (random_() % 2 == 0) {
          fill_page(model.data(), 1 + random_() % (kContents - 1));
          pen_.write(page, model.data(), kPageBytes);
        }
      }
    }
    counts_.writes.fetch_add(1, std::memory_order_relaxed);
  }

  void check(uint64_t mine) {
    counts_.checks.fetch_add(1, std::memory_order_relaxed);
    if (std::memcmp(memory_.at(frame_of(mine)), model_[mine].data(), kPageBytes) == 0) return;
    counts_.wrong.fetch_add(1, std::memory_order_relaxed);
    std::memcpy(model_[mine].data(), memory_.at(frame_of(mine)), kPageBytes);  // count each loss once
  }

  MergedMemory& memory_;
  const int number_;
  Counts& counts_;
  Pen pen_;
  std::mt19937_64 random_;
  std::vector<std::vector<std::byte>> model_;
};

struct Outcome {
  uint64_t writes, checks, wrong, merged, zeros, broken;
  uint64_t users_left = 0;  // of the pool, when both memories had gone
};

// Two memories of one domain, so that they share pages with each other, too.
Outcome stress_in(LocalDomain& domain, WriteProtection protection, std::chrono::seconds time, bool until_wrong) {
  MergedMemory memory(domain, kFrames, {.order = Order::kRandom, .huge_threshold = 64}, Memory::Huge::kNo, protection);
  MergedMemory neighbour(domain, kFrames, {}, Memory::Huge::kNo, protection);
  Counts counts;
  std::atomic<bool> stop = false;
  std::vector<std::unique_ptr<Writer>> writers;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) writers.push_back(std::make_unique<Writer>(memory, i, counts));
  std::vector<std::unique_ptr<Writer>> neighbours;
  neighbours.push_back(std::make_unique<Writer>(neighbour, 0, counts));
  for (auto* group : {&writers, &neighbours}) {
    for (auto& writer : *group) threads.emplace_back([&, w = writer.get()] { w->run(stop); });
  }
  std::mt19937 random(4);
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end && !(until_wrong && counts.wrong > 0)) {
    (void)memory.scanner().step(1024);
    (void)neighbour.scanner().step(1024);
    if (random() % 16 == 0) {
      const std::lock_guard lock(memory.mapping().mutex());
      (void)memory.mapping().unshare({random() % (kFrames / 2), kFrames / 2});
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return {counts.writes,        counts.checks,
          counts.wrong,         memory.stats().merged + neighbour.stats().merged,
          memory.stats().zeros, memory.scanner().stats().broken};
}

Outcome stress(WriteProtection protection, std::chrono::seconds time, bool until_wrong) {
  std::string error;
  const auto domain = LocalDomain::create(4 * kFrames, &error);
  Outcome outcome = stress_in(*domain, protection, time, until_wrong);
  outcome.users_left = domain->stats().users + domain->stats().slots_filled;
  return outcome;
}

TEST(MergeStress, NoWriteIsLostAndNoByteIsForeign) {
  if (const std::string why_not = MergedMemory::why_not(); !why_not.empty()) GTEST_SKIP() << why_not;
  const Outcome outcome = stress(WriteProtection::kOn, stress_time(), false);
  EXPECT_EQ(outcome.wrong, 0u);
  EXPECT_EQ(outcome.users_left, 0u) << "every reference was given back once";
  EXPECT_GT(outcome.merged, 500u);
  EXPECT_GT(outcome.broken, 50u);
  std::printf("  %lu writes, %lu pages checked, %lu merges, %lu zero pages dropped, %lu copies on write: %lu wrong\n",
              outcome.writes, outcome.checks, outcome.merged, outcome.zeros, outcome.broken, outcome.wrong);
}

// The test above would notice: without the write protection, writes are lost.
TEST(MergeStress, WithoutTheWriteProtectionWritesAreLost) {
  if (const std::string why_not = MergedMemory::why_not(); !why_not.empty()) GTEST_SKIP() << why_not;
  const Outcome outcome = stress(WriteProtection::kLeftOut, std::chrono::seconds(60), true);
  EXPECT_GT(outcome.wrong, 0u);
}

}  // namespace
}  // namespace ksm
