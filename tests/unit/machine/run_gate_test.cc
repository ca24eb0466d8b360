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
    ASSERT_TRUE(gate.pause());
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
  ASSERT_TRUE(gate.pause());
  ASSERT_TRUE(gate.pause());
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
  ASSERT_TRUE(gate.pause());
  gate.stop();
  EXPECT_TRUE(gate.pause());  // must come back although nobody will ever park again
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
          EXPECT_TRUE(gate.pause(std::chrono::minutes(1)));
          EXPECT_EQ(runners.inside.load(), 0);
          gate.resume();
        }
      });
    }
    for (auto& pauser : pausers) pauser.join();
  }
  gate.stop();
}

TEST(RunGate, APauseThatAThreadDoesNotComeToIsTakenBack) {
  std::atomic<bool> stuck{true};
  RunGate gate(2, [] {});
  std::thread waiting([&] {  // as a vCPU that waits for the reader of its console
    while (stuck.load()) std::this_thread::yield();
    EXPECT_FALSE(gate.pass());
    gate.leave();
  });
  std::atomic<uint64_t> passes{0};
  std::thread running([&] {
    while (gate.pass()) passes.fetch_add(1);
    gate.leave();
  });
  EXPECT_FALSE(gate.pause(std::chrono::milliseconds(20)));
  EXPECT_FALSE(gate.paused());
  const uint64_t before = passes.load();
  while (passes.load() == before) std::this_thread::yield();  // the others go on
  gate.stop();
  stuck.store(false);
  waiting.join();
  running.join();
}

TEST(RunGate, TheLastToLeaveTellsOnce) {
  std::atomic<int> told{0};
  RunGate gate(
      3, [] {}, [&] { ++told; });
  {
    Runners runners(gate, 3);
    ASSERT_TRUE(gate.pause());
    EXPECT_EQ(told.load(), 0) << "parked is not gone";
    gate.resume();
    gate.stop();
  }
  EXPECT_EQ(told.load(), 1);
}

}  // namespace
}  // namespace twofold
