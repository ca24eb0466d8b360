// fork, wait, exit, kill, getpid, procs, memstat, cmdline, and calls that do not exist.
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

void unknown_calls() {
  CHECK_EQ(ulib::syscall(0), -kENosys);
  CHECK_EQ(ulib::syscall(kSyscallCount), -kENosys);
  CHECK_EQ(ulib::syscall(kSyscallCount + 1000), -kENosys);
  CHECK_EQ(ulib::syscall(0x80000000), -kENosys);
  CHECK_EQ(ulib::syscall(UINT32_MAX), -kENosys);
}

void fork_and_wait() {
  CHECK_EQ(wait(nullptr), -kEChild);
  const int32_t parent = getpid();
  const int32_t pid = start([&] {
    CHECK(getpid() != parent);
    CHECK_EQ(process_info(getpid()).parent, parent);
    ulib::exit(42);
  });
  CHECK(pid > parent);
  CHECK_EQ(status_of_pid(pid), 42);
  CHECK_EQ(wait(nullptr), -kEChild);
  int32_t status = 7;
  CHECK_EQ(wait(&status), -kEChild);
  CHECK_EQ(status, 7);
}

void exit_statuses() {
  const int32_t statuses[] = {0, 1, 255, 256, 0x12345678, -5, INT32_MAX, INT32_MIN};
  for (const int32_t status : statuses) CHECK_EQ(status_of([&] { ulib::exit(status); }), status);
}

void wait_blocks() {
  const uint32_t before = uptime_ticks();
  const int32_t pid = start([] { sleep_ticks(5); });
  CHECK_EQ(wait(nullptr), pid);
  CHECK(uptime_ticks() - before >= 5);
}

void wait_takes_any_child() {
  const int32_t slow = start([] { sleep_ticks(20); });
  const int32_t fast = start([] {});
  CHECK_EQ(wait(nullptr), fast);
  CHECK_EQ(wait(nullptr), slow);
}

void zombies_wait_to_be_reaped() {
  const int32_t pid = start([] { ulib::exit(3); });
  CHECK(reaches_state(pid, kProcZombie));
  CHECK_EQ(process_info(pid).parent, getpid());
  CHECK_EQ(kill(pid), -kENoent);
  CHECK_EQ(status_of_pid(pid), 3);
  CHECK_EQ(process_info(pid).state, kProcUnused);
  CHECK_EQ(kill(pid), -kENoent);
}

// A zombie keeps its entry and status, not its memory.
void zombies_hold_no_user_pages() {
  const Pipe pipe = make_pipe();
  const uint32_t before = memory().user;
  const int32_t pid = start([&] {
    uint8_t* pages = reserve_pages(50);
    for (uint32_t i = 0; i < 50; ++i) pages[i * kPageSize] = 1;
    signal(pipe.writer);
  });
  await(pipe.reader);
  CHECK(reaches_state(pid, kProcZombie));
  CHECK(memory().user < before + 25);
  CHECK_EQ(status_of_pid(pid), 0);
}

void orphans_go_to_init() {
  const Pipe pipe = make_pipe();
  CHECK_CHILD(start([&] {
    char byte = 0;
    CHECK_EQ(write(pipe.writer, "!", 1), 1);
    for (int turn = 0; turn < 100 && process_info(getpid()).parent != 1; ++turn) sleep_ticks(1);
    byte = process_info(getpid()).parent == 1 ? 'y' : 'n';
    CHECK_EQ(write(pipe.writer, &byte, 1), 1);
  }));
  await(pipe.reader);
  char adopted = 0;
  CHECK_EQ(read(pipe.reader, &adopted, 1), 1);
  CHECK_EQ(adopted, 'y');
  CHECK_EQ(wait(nullptr), -kEChild);
}

void orphaned_zombies_go_to_init() {
  const int32_t count = process_count();
  CHECK_CHILD(const int32_t pid = start([] {}); CHECK(reaches_state(pid, kProcZombie)));
  for (int turn = 0; turn < 100 && process_count() != count; ++turn) sleep_ticks(1);
  CHECK_EQ(process_count(), count);
}

void kill_errors() {
  CHECK_EQ(kill(0), -kENoent);
  CHECK_EQ(kill(-1), -kENoent);
  CHECK_EQ(kill(INT32_MAX), -kENoent);
  CHECK_EQ(kill(INT32_MIN), -kENoent);
  CHECK_EQ(kill(1), -kEInval);
}

// Kills a child that is in `state` and runs `body`, and sees it end as killed, not as faulted.
template <typename Body>
void kill_in_state(ProcState state, Body body) {
  const uint32_t faults = memory().faults_killed;
  const int32_t pid = start(body);
  CHECK(reaches_state(pid, state));
  CHECK_EQ(kill(pid), 0);
  CHECK_EQ(status_of_pid(pid), kKilledStatus);
  CHECK_EQ(memory().faults_killed, faults);
}

void kill_sleeping() {
  kill_in_state(kProcSleeping, [] { sleep_ticks(INT32_MAX); });
}

void kill_waiting() {
  // The grandchild outlives its parent and is init's then; it ends by itself.
  kill_in_state(kProcSleeping, [] {
    start([] { sleep_ticks(20); });
    wait(nullptr);
  });
}

void kill_blocked_on_pipes() {
  const Pipe pipe = make_pipe();
  kill_in_state(kProcSleeping, [&] { await(pipe.reader); });
  kill_in_state(kProcSleeping, [&] {
    char chunk[4096] = {};
    for (;;) write(pipe.writer, chunk, sizeof(chunk));
  });
}

void kill_reading_console() {
  kill_in_state(kProcSleeping, [] {
    char byte = 0;
    read(open("/dev/console", kOpenRead), &byte, 1);
  });
}

void kill_spinning() {
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] {
    signal(pipe.writer);
    for (;;) asm volatile("pause");
  });
  await(pipe.reader);
  CHECK_EQ(kill(pid), 0);
  CHECK_EQ(status_of_pid(pid), kKilledStatus);
}

void kill_self() {
  CHECK_EQ(status_of([] {
             kill(getpid());
             ulib::exit(5);  // must not be reached
           }),
           kKilledStatus);
}

void processes_run_out() {
  const Pipe pipe = make_pipe();
  int32_t children = 0;
  int32_t pid;
  while ((pid = fork()) > 0) ++children;
  if (pid == 0) {
    close(pipe.writer);
    char byte = 0;
    ulib::exit(read(pipe.reader, &byte, 1));  // until the parent lets go
  }
  CHECK_EQ(pid, -kEAgain);
  CHECK(children > 30 && children < static_cast<int32_t>(kMaxProcs));
  CHECK_EQ(process_count(), kMaxProcs);
  CHECK_EQ(fork(), -kEAgain);
  close_pipe(pipe);
  for (int32_t i = 0; i < children; ++i) {
    int32_t status = 1;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
  }
  CHECK_CHILD();
}

void pids_differ() {
  int32_t last = getpid();
  for (int i = 0; i < 20; ++i) {
    const int32_t pid = start([] {});
    CHECK(pid > last);
    last = pid;
    CHECK_EQ(status_of_pid(pid), 0);
  }
}

const Case kCases[] = {
    {"unknown_calls", unknown_calls},
    {"fork_and_wait", fork_and_wait},
    {"exit_statuses", exit_statuses},
    {"wait_blocks", wait_blocks},
    {"wait_takes_any_child", wait_takes_any_child},
    {"zombies_wait_to_be_reaped", zombies_wait_to_be_reaped},
    {"zombies_hold_no_user_pages", zombies_hold_no_user_pages},
    {"orphans_go_to_init", orphans_go_to_init},
    {"orphaned_zombies_go_to_init", orphaned_zombies_go_to_init},
    {"kill_errors", kill_errors},
    {"kill_sleeping", kill_sleeping},
    {"kill_waiting", kill_waiting},
    {"kill_blocked_on_pipes", kill_blocked_on_pipes},
    {"kill_reading_console", kill_reading_console},
    {"kill_spinning", kill_spinning},
    {"kill_self", kill_self},
    {"processes_run_out", processes_run_out},
    {"pids_differ", pids_differ},
};

}  // namespace

Section processes_section() {
  return section("processes", kCases);
}

}  // namespace usertests
