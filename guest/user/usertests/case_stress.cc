// Much at once, and nothing left: full memory, full tables, and death at every moment.
#include "guest/user/ulib/time.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

constexpr uint32_t kLargeMachinePages = 192 * 256;  // with more free memory, filling it would take too long

class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed) {}

  uint32_t below(uint32_t bound) {
    state_ = state_ * 1664525 + 1013904223;
    return (state_ >> 8) % bound;
  }

 private:
  uint32_t state_;
};

// Touches heap until the kernel says no, in whichever way it does.
void take_all_memory() {
  for (;;) {
    const int32_t start = sbrk(64 * kPageSize);
    if (start < 0) ulib::exit(0);
    for (uint32_t i = 0; i < 64; ++i) *at(static_cast<uint32_t>(start) + i * kPageSize) = 1;
  }
}

void memory_runs_out() {
  if (memory().free > kLargeMachinePages) skip("needs a guest with less than 192 MiB free");
  const int32_t status = status_of(take_all_memory);
  CHECK(status == 0 || status == kKilledStatus);
  CHECK_CHILD(CHECK_EQ(*reserve_pages(1), 0));
}

// Memory and swap are full: the largest goes, and nobody else.
void the_largest_is_killed() {
  if (memory().total + memory().swap_total > kLargeMachinePages) skip("needs less than 192 MiB of memory and swap");
  constexpr uint32_t kPages = 50;
  uint8_t* const heap = reserve_pages(kPages);
  memset(heap, 0x5a, kPages * kPageSize);
  const uint32_t kills = memory().oom_kills;
  const Pipe hold = make_pipe();
  const int32_t small = start([&] {
    uint8_t* const own = reserve_pages(kPages);
    memset(own, 0xa5, kPages * kPageSize);
    await(hold.reader);
    for (uint32_t i = 0; i < kPages * kPageSize; ++i) CHECK_EQ(own[i], 0xa5);
  });
  CHECK_EQ(status_of(take_all_memory), kKilledStatus);
  CHECK_EQ(memory().oom_kills, kills + 1);
  signal(hold.writer);
  CHECK_EQ(status_of_pid(small), 0);
  for (uint32_t i = 0; i < kPages * kPageSize; ++i) CHECK_EQ(heap[i], 0x5a);
}

// fork, pipe and exec while another process has all the memory: they fail or work, and nothing is lost. Where there is
// no swap disk the other may be killed for it.
void calls_without_memory() {
  if (memory().free > kLargeMachinePages) skip("needs a guest with less than 192 MiB free");
  const Pipe hold = make_pipe();
  const Pipe ready = make_pipe();
  const int32_t hog = start([&] {
    const MemStat stat = memory();
    const uint32_t pages = stat.free - stat.free_low - 20;
    uint8_t* const heap = reserve_pages(pages);
    for (uint32_t i = 0; i < pages; ++i) heap[i * kPageSize] = 1;
    signal(ready.writer);
    await(hold.reader);
  });
  await(ready.reader);
  for (int turn = 0; turn < 60; ++turn) {
    const int32_t pid = fork();
    if (pid == 0) {
      const char* const argv[] = {"echo", "-n", nullptr};
      int32_t fds[2];
      uint8_t* page = reinterpret_cast<uint8_t*>(sbrk(static_cast<int32_t>(turn % 12 * kPageSize)));
      for (int i = 0; i < turn % 12; ++i) page[i * static_cast<int>(kPageSize)] = 1;
      pipe(fds);
      ulib::exit(exec("/bin/echo", argv));
    }
    CHECK(pid > 0 || pid == -kENomem);
    int32_t status = 0;
    if (pid > 0) CHECK_EQ(wait(&status), pid);
    CHECK(status == 0 || status == kKilledStatus || status == -kENomem);
  }
  signal(hold.writer);
  const int32_t status = status_of_pid(hog);
  CHECK(status == 0 || (status == kKilledStatus && memory().swap_total == 0));
}

void many_short_lives() {
  for (int i = 0; i < 400; ++i) CHECK_EQ(status_of([&] { ulib::exit(i); }), i);
}

void many_programs() {
  const char* const argv[] = {"echo", "hello", nullptr};
  char text[16];
  for (int i = 0; i < 60; ++i) {
    CHECK_EQ(capture(argv, text, sizeof(text)), 0);
    CHECK_TEXT(text, "hello\n");
  }
}

// What a victim is busy with when it is killed.
[[noreturn]] void be_busy(uint32_t kind) {
  for (;;) {
    if (kind == 0) {
      uint8_t* pages = reserve_pages(10);
      memset(pages, 1, 10 * kPageSize);
      sbrk(-static_cast<int32_t>(10 * kPageSize));
    } else if (kind == 1) {
      start([] { sleep_ticks(1); });
      wait(nullptr);
    } else if (kind == 2) {
      const Pipe pipe = make_pipe();
      start([&] {
        char chunk[100] = {};
        for (int i = 0; i < 20; ++i) write(pipe.writer, chunk, sizeof(chunk));
      });
      close(pipe.writer);
      char buffer[64];
      while (read(pipe.reader, buffer, sizeof(buffer)) > 0) {
      }
      close(pipe.reader);
      wait(nullptr);
    } else {
      const char* const argv[] = {"echo", "-n", nullptr};
      start([&] { ulib::exit(exec("/bin/echo", argv)); });
      wait(nullptr);
    }
  }
}

void killed_at_any_moment() {
  Random random(7);
  for (int turn = 0; turn < 60; ++turn) {
    const uint32_t kind = random.below(4);
    const int32_t pid = start([&] { be_busy(kind); });
    sleep_ticks(random.below(4));
    const uint32_t spins = random.below(20000);
    for (uint32_t i = 0; i < spins; ++i) asm volatile("");
    CHECK_EQ(kill(pid), 0);
    CHECK_EQ(status_of_pid(pid), kKilledStatus);
  }
}

// Random calls with random arguments, from a process of its own: any result will do, but the kernel lives.
void random_calls() {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    const int32_t pid = start([&] {
      for (int32_t fd = 0; fd < 3; ++fd) close(fd);  // keep the noise off the console
      Random random(seed);
      const uint32_t values[] = {
          0,      1,          2,         3,          16,         4095,       4096,
          0x5123, 0x7ffffff0, kKernBase, 0x80100000, UINT32_MAX, 0xfffff000, address_of(&random)};
      constexpr uint32_t kValues = sizeof(values) / sizeof(values[0]);
      for (int i = 0; i < 400; ++i) {
        const uint32_t number = random.below(kSyscallCount + 2);
        const bool hangs = number == kSysSleep || number == kSysWait || number == kSysExit || number == kSysShutdown;
        const bool spreads = number == kSysFork || number == kSysKill;
        if (hangs || spreads) continue;
        const uint32_t first = values[random.below(kValues)];
        const uint32_t second = values[random.below(kValues)];
        const uint32_t third = values[random.below(kValues)];
        ulib::syscall(number, first, second, third, values[random.below(kValues)]);
      }
    });
    for (uint32_t turn = 0; turn < 3 * ticks_per_second() && process_info(pid).state != kProcZombie; ++turn) {
      if (process_info(pid).state == kProcSleeping) break;  // on a pipe of its own
      sleep_ticks(1);
    }
    kill(pid);
    CHECK_EQ(wait(nullptr), pid);
  }
}

const Case kCases[] = {
    {"memory_runs_out", memory_runs_out, Cost::kSlow},
    {"the_largest_is_killed", the_largest_is_killed, Cost::kSlow},
    {"calls_without_memory", calls_without_memory, Cost::kSlow},
    {"many_short_lives", many_short_lives, Cost::kSlow},
    {"many_programs", many_programs, Cost::kSlow},
    {"killed_at_any_moment", killed_at_any_moment, Cost::kSlow},
    {"random_calls", random_calls},
};

}  // namespace

Section stress_section() {
  return section("stress", kCases);
}

}  // namespace usertests
