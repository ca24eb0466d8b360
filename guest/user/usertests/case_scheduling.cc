// Time: processes that never yield are preempted, share the processor fairly, and starve nobody.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/time.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

void spin_for(uint32_t iterations) {
  for (uint32_t i = 0; i < iterations; ++i) asm volatile("");
}

// Starts `count` children that spin until they are killed.
void start_spinners(int32_t* pids, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    pids[i] = start([] {
      for (;;) spin_for(1000);
    });
  }
}

void stop_all(const int32_t* pids, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) CHECK_EQ(kill(pids[i]), 0);
  for (uint32_t i = 0; i < count; ++i) CHECK(wait(nullptr) > 0);
}

void spinner_is_preempted() {
  int32_t pid;
  start_spinners(&pid, 1);
  const uint32_t before = uptime_ticks();
  while (uptime_ticks() - before < 5) {
  }
  CHECK(process_info(pid).state == kProcRunnable || process_info(pid).state == kProcRunning);
  stop_all(&pid, 1);
}

// Among many that spin, a sleeper gets its turn soon after its time.
void sleeper_is_not_starved() {
  constexpr uint32_t kSpinners = 6;
  int32_t pids[kSpinners];
  start_spinners(pids, kSpinners);
  for (int turn = 0; turn < 3; ++turn) {
    const uint32_t before = uptime_ticks();
    sleep_ticks(3);
    const uint32_t late = uptime_ticks() - before - 3;
    CHECK(late <= 4 * kSpinners);
  }
  stop_all(pids, kSpinners);
}

// Round robin: equal spinners get about equal ticks.
void fair_shares() {
  constexpr uint32_t kSpinners = 4;
  int32_t pids[kSpinners];
  start_spinners(pids, kSpinners);
  sleep_ticks(60);
  uint32_t least = UINT32_MAX;
  uint32_t most = 0;
  for (const int32_t pid : pids) {
    const uint32_t ticks = process_info(pid).ticks;
    least = ticks < least ? ticks : least;
    most = ticks > most ? ticks : most;
  }
  stop_all(pids, kSpinners);
  CHECK(most >= 60 / kSpinners / 2);
  CHECK(least * 2 + 4 >= most);
}

void sleepers_use_no_time() {
  const int32_t pid = start([] { sleep_ticks(INT32_MAX); });
  CHECK(reaches_state(pid, kProcSleeping));
  const uint32_t before = process_info(pid).ticks;
  sleep_ticks(20);
  CHECK_EQ(process_info(pid).ticks, before);
  CHECK_EQ(kill(pid), 0);
  CHECK_EQ(status_of_pid(pid), kKilledStatus);
}

// Each sleeps its own time; they wake in that order.
void sleepers_wake_in_order() {
  constexpr uint32_t kSleepers = 5;
  const Pipe pipe = make_pipe();
  for (uint32_t i = 0; i < kSleepers; ++i) {
    start([&] {
      const uint8_t order = static_cast<uint8_t>(kSleepers - 1 - i);
      sleep_ticks(10U + order * 20U);
      CHECK_EQ(write(pipe.writer, &order, 1), 1);
    });
  }
  uint8_t orders[kSleepers] = {};
  CHECK_EQ(read_all(pipe.reader, orders, kSleepers), kSleepers);
  for (uint32_t i = 0; i < kSleepers; ++i) CHECK_EQ(orders[i], i);
  for (uint32_t i = 0; i < kSleepers; ++i) CHECK(wait(nullptr) > 0);
}

// Two that hand a byte back and forth: many switches, none lost.
void ping_pong() {
  constexpr int kTurns = 500;
  const Pipe there = make_pipe();
  const Pipe back = make_pipe();
  const int32_t pid = start([&] {
    for (int i = 0; i < kTurns; ++i) {
      await(there.reader);
      signal(back.writer);
    }
  });
  for (int i = 0; i < kTurns; ++i) {
    signal(there.writer);
    await(back.reader);
  }
  CHECK_EQ(status_of_pid(pid), 0);
}

const Case kCases[] = {
    {"spinner_is_preempted", spinner_is_preempted},
    {"sleeper_is_not_starved", sleeper_is_not_starved},
    {"fair_shares", fair_shares, Cost::kSlow},
    {"sleepers_use_no_time", sleepers_use_no_time},
    {"sleepers_wake_in_order", sleepers_wake_in_order, Cost::kSlow},
    {"ping_pong", ping_pong},
};

}  // namespace

Section scheduling_section() {
  return section("scheduling", kCases);
}

}  // namespace usertests
