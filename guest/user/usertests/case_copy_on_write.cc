// Copy-on-write after fork: each process sees its own memory only, whoever writes, the program or the kernel for it.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/time.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

alignas(kPageSize) volatile uint32_t words[4 * kPageSize / sizeof(uint32_t)];
constexpr uint32_t kWordsPerPage = kPageSize / sizeof(uint32_t);

// In a child that counts faults: lets the parent break its own stack's sharing and go to sleep, and breaks this one's.
void settle() {
  ulib::sleep_hundredths(3);
  (void)memory();
}

void child_writes_stay_its_own() {
  words[0] = 1;
  volatile uint32_t on_stack = 2;
  volatile uint8_t* heap = reserve_pages(1);
  heap[0] = 3;
  CHECK_CHILD({
    words[0] = 11;
    on_stack = 12;
    heap[0] = 13;
    CHECK(words[0] == 11 && on_stack == 12 && heap[0] == 13);
  });
  CHECK(words[0] == 1 && on_stack == 2 && heap[0] == 3);
}

void parent_writes_stay_its_own() {
  words[0] = 1;
  const Pipe go = make_pipe();
  const int32_t pid = start([&] {
    await(go.reader);
    CHECK_EQ(words[0], 1);
    CHECK_EQ(words[kWordsPerPage], 0);
  });
  words[0] = 2;
  words[kWordsPerPage] = 3;  // never touched before the fork: the child must see zero there
  signal(go.writer);
  CHECK_EQ(status_of_pid(pid), 0);
  CHECK_EQ(words[0], 2);
}

void each_page_breaks_once() {
  constexpr uint32_t kPages = 32;
  volatile uint8_t* pages = reserve_pages(kPages);
  for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize] = 1;
  CHECK_CHILD({
    settle();
    const MemStat before = memory();
    for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize] = 2;
    for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize + 1] = 3;
    const MemStat after = memory();
    CHECK_EQ(after.faults_cow - before.faults_cow, kPages);
    CHECK_EQ(before.free - after.free, kPages);
    CHECK_EQ(after.faults_zero, before.faults_zero);
  });
}

void reading_breaks_nothing() {
  volatile uint8_t* pages = reserve_pages(8);
  for (uint32_t i = 0; i < 8; ++i) pages[i * kPageSize] = static_cast<uint8_t>(i);
  CHECK_CHILD({
    settle();
    const MemStat before = memory();
    for (uint32_t i = 0; i < 8; ++i) CHECK_EQ(pages[i * kPageSize], i);
    CHECK_EQ(memory().faults_cow, before.faults_cow);
    CHECK_EQ(memory().free, before.free);
  });
}

// When the other sharer has gone, the page is written in place.
void last_owner_copies_nothing() {
  constexpr uint32_t kPages = 16;
  volatile uint8_t* pages = reserve_pages(kPages);
  for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize] = 1;
  CHECK_CHILD();
  const MemStat before = memory();
  for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize] = 2;
  const MemStat after = memory();
  CHECK_EQ(after.free, before.free);
  CHECK_EQ(after.faults_cow - before.faults_cow, kPages);
}

// The kernel writes results into shared pages for the child; the parent must not see them.
void calls_write_to_the_callers_copy() {
  struct Results {
    char file[16];
    int32_t fds[2];
    int32_t status;
    Stat stat;
    MemStat memstat;
    ProcInfo procs[2];
    char cmdline[8];
  };
  // Two words before a page's end, so that it straddles two.
  uint8_t* pages = reserve_pages(2);
  memset(pages, 0xee, 2 * kPageSize);
  auto* results = reinterpret_cast<Results*>(pages + kPageSize - 2 * sizeof(uint32_t));
  CHECK_CHILD({
    CHECK_EQ(read(open("/bin/echo", kOpenRead), results->file, 16), 16);
    CHECK_EQ(memcmp(results->file, "\177ELF", 4), 0);
    CHECK_EQ(pipe(results->fds), 0);
    CHECK_EQ(fstat(results->fds[0], &results->stat), 0);
    CHECK_EQ(memstat(&results->memstat, sizeof(MemStat)), sizeof(MemStat));
    CHECK_EQ(procs(results->procs, 2), 2);
    CHECK(cmdline(results->cmdline, 8) >= 0);
    start([] { ulib::exit(5); });
    CHECK(wait(&results->status) > 0);
    CHECK_EQ(results->status, 5);
  });
  for (uint32_t i = 0; i < 2 * kPageSize; ++i) CHECK_EQ(pages[i], 0xee);
}

// The same with one call a child, which must break the sharing by itself. The child has read the page before, so
// that a translation of the shared frame is cached: it must not outlive the call.
void first_write_is_a_calls() {
  uint8_t* page = reserve_pages(1);
  volatile uint8_t& first = page[0];
  first = 0xee;
  CHECK_CHILD({
    CHECK_EQ(first, 0xee);
    CHECK_EQ(read(open("/bin/echo", kOpenRead), page, 8), 8);
    CHECK_EQ(first, 0x7f);
  });
  CHECK_EQ(first, 0xee);
  CHECK_CHILD({
    CHECK_EQ(first, 0xee);
    CHECK_EQ(pipe(reinterpret_cast<int32_t*>(page)), 0);
    CHECK_EQ(first, 3);
  });
  CHECK_EQ(first, 0xee);
  CHECK_CHILD({
    start([] {});
    CHECK_EQ(first, 0xee);
    CHECK(wait(reinterpret_cast<int32_t*>(page)) > 0);
    CHECK_EQ(first, 0);
  });
  CHECK_EQ(first, 0xee);
  const Pipe pipe = make_pipe();
  CHECK_EQ(write(pipe.writer, "abcd", 4), 4);
  CHECK_CHILD({
    CHECK_EQ(first, 0xee);
    CHECK_EQ(read(pipe.reader, page, 4), 4);
    CHECK_EQ(first, 'a');
  });
  CHECK_EQ(first, 0xee);
}

// A pipe's writer and reader share the very page that travels.
void shared_page_through_a_pipe() {
  uint8_t* page = reserve_pages(1);
  memset(page, 'a', kPageSize);
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] {
    memset(page, 'b', kPageSize);
    CHECK_EQ(write_all(pipe.writer, page, kPageSize), 0);
  });
  CHECK_EQ(read_all(pipe.reader, page, kPageSize / 2), kPageSize / 2);
  CHECK_EQ(page[0], 'b');
  CHECK_EQ(page[kPageSize / 2], 'a');
  CHECK_EQ(read_all(pipe.reader, page, kPageSize / 2), kPageSize / 2);
  CHECK_EQ(status_of_pid(pid), 0);
}

// Parent, child, grandchild …: each generation writes after it has forked the next, and checks at the end.
void descend(uint32_t generation, uint32_t generations) {
  words[0] = generation;
  words[1] = words[1] + generation;
  if (generation == generations) return;
  const uint32_t sum = words[1];
  CHECK_CHILD(descend(generation + 1, generations));
  words[2 * kWordsPerPage] = generation;
  CHECK_EQ(words[0], generation);
  CHECK_EQ(words[1], sum);
  CHECK_EQ(words[2 * kWordsPerPage], generation);
}

void deep_descent() {
  descend(1, 12);
}

// Each process forks two until the given depth; each must find what its own line of ancestors wrote.
void branch(uint32_t depth, uint32_t path) {
  words[depth] = path;
  if (depth > 0) {
    const int32_t left = start([&] { branch(depth - 1, path * 2); });
    const int32_t right = start([&] { branch(depth - 1, path * 2 + 1); });
    for (int i = 0; i < 2; ++i) {
      int32_t status = 1;
      const int32_t pid = wait(&status);
      CHECK(pid == left || pid == right);
      CHECK_EQ(status, 0);
    }
  }
  uint32_t expected = path;
  for (uint32_t level = depth; level < 5; ++level) {
    CHECK_EQ(words[level], expected);
    expected /= 2;
  }
}

void tree_of_forks() {
  branch(4, 1);
}

void read_only_pages_stay_so_after_fork() {
  auto* text = reinterpret_cast<volatile uint8_t*>(kUserTextBase);
  CHECK_CHILD();
  CHECK_KILLED(*text = 1);
  CHECK_CHILD(CHECK_KILLED(*text = 1));
}

const Case kCases[] = {
    {"child_writes_stay_its_own", child_writes_stay_its_own},
    {"parent_writes_stay_its_own", parent_writes_stay_its_own},
    {"each_page_breaks_once", each_page_breaks_once},
    {"reading_breaks_nothing", reading_breaks_nothing},
    {"last_owner_copies_nothing", last_owner_copies_nothing},
    {"calls_write_to_the_callers_copy", calls_write_to_the_callers_copy},
    {"first_write_is_a_calls", first_write_is_a_calls},
    {"shared_page_through_a_pipe", shared_page_through_a_pipe},
    {"deep_descent", deep_descent},
    {"tree_of_forks", tree_of_forks},
    {"read_only_pages_stay_so_after_fork", read_only_pages_stay_so_after_fork},
};

}  // namespace

Section copy_on_write_section() {
  return section("copy-on-write", kCases);
}

}  // namespace usertests
