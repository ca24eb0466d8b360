#include "vmm/machine/run_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace twofold {
namespace {

// Threads that go through the gate as vCPUs do, each counting how often it passed.
struct Runners {
  explicit Runners(RunGate& gate, uint32_t n) {
    for (uint32_t i = 0; i < n; ++i) {
      threads.emplace_back([this, &gate] {
        while (gate.pass()) {
          inside.fetch_add(1);
          passes.fetch_add(1);
          std::this_thread::yield();
          inside.fetch_sub(1);
        }
        gate.leave();
      });
    }
  }
  ~Runners() {
    for (auto& thread : threads) thread.join();
  }
  std::atomic<int> inside{0};
  std::atomic<uint64_t> passes{0};
  std::vector<std::thread> threads;
};

TEST(RunGate, NobodyIsInsideWhilePaused) {
  std::atomic<int> kicks{0};
  RunGate gate(3, [&] { ++kicks; });
  Runners runners(gate, 3);
  for (int round = 0; round < 200; ++round) {
    gate.pause();
    EXPECT_TRUE(gate.paused());
    EXPECT_EQ(runners.inside.load(), 0);
    const uint64_t before = runners.passes.load();
    std::this_thread::yield();
    EXPECT_EQ(runners.passes.load(), before);
    gate.resume();
    while (runners.passes.load() == before) std::this_thread::yield();
  }
  EXPECT_EQ(kicks.load(), 200);
  gate.stop();
}

TEST(RunGate, PausesNest) {
  RunGate gate(1, [] {});
  Runners runners(gate, 1);
  gate.pause();
  gate.pause();
  gate.resume();
  EXPECT_TRUE(gate.paused());
  const uint64_t before = runners.passes.load();
  std::this_thread::yield();
  EXPECT_EQ(runners.passes.load(), before);
  gate.resume();
  EXPECT_FALSE(gate.paused());
  while (runners.passes.load() == before) std::this_thread::yield();
  gate.stop();
}

TEST(RunGate, StopFreesParkedThreadsAndPausersToo) {
  RunGate gate(2, [] {});
  Runners runners(gate, 2);
  gate.pause();
  gate.stop();
  gate.pause();  // must come back although nobody will ever park again
  EXPECT_EQ(runners.inside.load(), 0);
}

TEST(RunGate, PausersFromManyThreadsDoNotDisturbEachOther) {
  RunGate gate(2, [] {});
  Runners runners(gate, 2);
  {
    std::vector<std::thread> pausers;
    for (int t = 0; t < 3; ++t) {
      pausers.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          gate.pause();
          EXPECT_EQ(runners.inside.load(), 0);
          gate.resume();
        }
      });
    }
    for (auto& pauser : pausers) pauser.join();
  }
  gate.stop();
}

}  // namespace
}  // namespace twofold
