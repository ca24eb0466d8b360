// Demand paging, swap and reclaim: no byte is lost or mixed up, whoever writes it and wherever it has been meanwhile.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/random.h"
#include "guest/user/usertests/check.h"
#include "guest/user/usertests/heap_model.h"
#include "guest/user/usertests/owned_pages.h"

namespace usertests {
namespace {

constexpr uint32_t kLargeMachinePages = 40 * 256;  // with more memory, to push all of it out takes too long

// The cases need a disk to page to, and a machine so small that they get it to page.
const char* what_is_missing() {
  const MemStat stat = memory();
  if (stat.swap_total == 0) return "needs a swap disk (swap=vda)";
  if (stat.total > kLargeMachinePages) return "needs a guest of at most 40 MiB";
  return nullptr;
}

// Writes more pages than there are, in a child, so that those of others that were not used of late go out.
void push_out() {
  const uint32_t pages = memory().total + memory().total / 4;
  CHECK_CHILD({
    uint8_t* const heap = reserve_pages(pages);
    for (uint32_t i = 0; i < pages; ++i) *words_at(heap, i) = i + 1;
  });
}

void more_than_there_is() {
  const uint32_t pages = memory().total + memory().total / 4;
  uint8_t* const heap = reserve_pages(pages);
  const MemStat before = memory();
  fill(heap, pages, 1);
  CHECK_EQ(wrong_pages(heap, pages, 1), 0);
  const MemStat after = memory();
  CHECK(after.swap_outs - before.swap_outs >= pages / 4);
  CHECK(after.swap_ins - before.swap_ins >= pages / 4);
  CHECK(after.faults_swap > before.faults_swap);
  CHECK_EQ(after.oom_kills, before.oom_kills);
  CHECK_EQ(audit(), 0);
}

void what_is_pushed_out_comes_back() {
  constexpr uint32_t kPages = 200;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 2);
  push_out();
  const ProcInfo out = process_info(getpid());
  CHECK(out.swapped >= kPages);
  CHECK(out.resident < kPages);
  CHECK_EQ(wrong_pages(heap, kPages, 2), 0);
  CHECK(process_info(getpid()).swapped < out.swapped - kPages / 2);
}

// The first time the pages go to the disk. Read only since they came back, they go again without a write.
void clean_pages_are_not_written_twice() {
  constexpr uint32_t kPages = 400;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 3);
  const MemStat first = memory();
  push_out();
  CHECK_EQ(wrong_pages(heap, kPages, 3), 0);
  const MemStat second = memory();
  push_out();
  const MemStat after = memory();
  CHECK(after.dropped - second.dropped >= kPages / 2);
  CHECK(after.swap_outs - second.swap_outs + kPages / 2 <= second.swap_outs - first.swap_outs);
  CHECK_EQ(wrong_pages(heap, kPages, 3), 0);
}

// Pages that were only read are zero again at their next touch: nothing of them need be kept.
void untouched_zeros_cost_no_swap() {
  constexpr uint32_t kPages = 400;
  uint8_t* const heap = reserve_pages(kPages);
  for (uint32_t i = 0; i < kPages; ++i) CHECK_EQ(*words_at(heap, i), 0);
  push_out();
  CHECK(process_info(getpid()).swapped < kPages / 2);
  for (uint32_t i = 0; i < kPages; ++i) CHECK_EQ(*words_at(heap, i), 0);
}

void program_text_is_dropped_and_comes_back() {
  push_out();
  const MemStat before = memory();
  for (uint32_t page = kUserTextBase; page < kUserTextBase + 8 * kPageSize; page += kPageSize) (void)*at(page);
  CHECK(memory().faults_file - before.faults_file >= 4);
}

void a_second_write_reaches_the_disk_too() {
  constexpr uint32_t kPages = 100;
  uint8_t* const heap = reserve_pages(kPages);
  for (uint32_t version = 1; version <= 4; ++version) {
    if (version > 1) CHECK_EQ(wrong_pages(heap, kPages, 4, version - 1), 0);
    fill(heap, kPages, 4, version);
    push_out();
  }
  CHECK_EQ(wrong_pages(heap, kPages, 4, 4), 0);
}

// Parent and children share pages that go to the disk, and each writes its own after they come back.
void shared_pages_part_on_the_way_back() {
  constexpr uint32_t kPages = 120;
  constexpr uint32_t kChildren = 3;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 5);
  const Pipe go = make_pipe();
  for (uint32_t child = 0; child < kChildren; ++child) {
    start([&] {
      await(go.reader);
      // Every other page is written before it was read, so that the write itself brings it back.
      for (uint32_t i = child; i < kPages; i += 2) {
        fill_pattern(words_at(heap, i), kWordsPerPage, pattern_seed(100 + child, i, 0));
      }
      push_out();
      for (uint32_t i = 0; i < kPages; ++i) {
        CHECK(is_page_of(heap, i, i >= child && (i - child) % 2 == 0 ? 100 + child : 5));
      }
    });
  }
  push_out();
  for (uint32_t child = 0; child < kChildren; ++child) signal(go.writer);
  for (uint32_t i = 0; i < kPages; i += 3) {
    fill_pattern(words_at(heap, i), kWordsPerPage, pattern_seed(6, i, 0));
  }
  for (uint32_t child = 0; child < kChildren; ++child) {
    int32_t status = -1;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
  }
  for (uint32_t i = 0; i < kPages; ++i) CHECK(is_page_of(heap, i, i % 3 == 0 ? 6 : 5));
}

// Sharers write to pages for the first time while these are on their way to the disk: the slower the disk, the more
// often. What a sharer writes then must reach neither the disk's copy nor the others.
void sharers_write_while_the_disk_does() {
  constexpr uint32_t kPages = 256;
  constexpr uint32_t kSharers = 3;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 17);
  const Pipe done = make_pipe();
  for (uint32_t sharer = 0; sharer < kSharers; ++sharer) {
    start([&] {
      Random random(sharer);
      bool own[kPages] = {};
      for (uint32_t turn = 0; turn < 2 * kPages; ++turn) {
        const uint32_t page = random.below(kPages);
        if (turn % 8 == 0) sleep_ticks(1);
        if (own[page] || page % kSharers != sharer) continue;
        fill_pattern(words_at(heap, page), kWordsPerPage, pattern_seed(300 + sharer, page, 0));
        own[page] = true;
      }
      char byte;
      CHECK_EQ(read(done.reader, &byte, 1), 1);  // all have written: nobody has the disk's copy in memory any more
      for (uint32_t i = 0; i < kPages; ++i) CHECK(is_page_of(heap, i, own[i] ? 300 + sharer : 17));
    });
  }
  for (int turn = 0; turn < 3; ++turn) {
    const uint32_t pages = memory().total + memory().total / 4;
    const int32_t hog = start([&] {
      uint8_t* const own = reserve_pages(pages);
      for (uint32_t i = 0; i < pages; ++i) *words_at(own, i) = i + 1;
    });
    while (process_info(hog).state != kProcZombie) sleep_ticks(1);
    CHECK_EQ(wait(nullptr), hog);
  }
  for (uint32_t sharer = 0; sharer < kSharers; ++sharer) signal(done.writer);
  for (uint32_t sharer = 0; sharer < kSharers; ++sharer) {
    int32_t status = -1;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
  }
  CHECK_EQ(wrong_pages(heap, kPages, 17), 0);
}

// The dirty flag must not be lost with the parent that had it set: its child's copy was never written by the child.
void a_child_outlives_the_parent_that_wrote() {
  constexpr uint32_t kPages = 60;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 7, 1);
  push_out();
  CHECK_EQ(wrong_pages(heap, kPages, 7, 1), 0);  // clean copies of the slots now
  const Pipe done = make_pipe();
  const Pipe ended = make_pipe();
  const int32_t middle = start([&] {
    fill(heap, kPages, 7, 2);
    start([&] {
      await(ended.reader);  // the one in the middle has gone
      push_out();
      CHECK_EQ(wrong_pages(heap, kPages, 7, 2), 0);
      signal(done.writer);
    });
  });
  CHECK_EQ(status_of_pid(middle), 0);
  signal(ended.writer);
  await(done.reader);
  CHECK_EQ(wrong_pages(heap, kPages, 7, 1), 0);
}

void fork_copies_what_is_out() {
  constexpr uint32_t kPages = 100;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 8);
  push_out();
  CHECK_CHILD(CHECK_EQ(wrong_pages(heap, kPages, 8), 0); fill(heap, kPages, 9);
              CHECK_CHILD({ CHECK_EQ(wrong_pages(heap, kPages, 9), 0); }));
  push_out();
  CHECK_EQ(wrong_pages(heap, kPages, 8), 0);
}

// The kernel reads and writes buffers that are on the disk.
void calls_reach_what_is_out() {
  constexpr uint32_t kPages = 16;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 10);
  const int32_t fd = open("/bin/usertests", kOpenRead);
  static uint8_t expected[4 * kPageSize];
  CHECK_EQ(read_all(fd, expected, sizeof(expected)), sizeof(expected));
  close(fd);
  push_out();
  const int32_t again = open("/bin/usertests", kOpenRead);
  CHECK_EQ(read_all(again, heap + 100, sizeof(expected)), sizeof(expected));
  CHECK_EQ(memcmp(heap + 100, expected, sizeof(expected)), 0);
  for (uint32_t i = 5; i < kPages; ++i) CHECK(is_page_of(heap, i, 10));
  close(again);
}

void pipes_reach_what_is_out() {
  constexpr uint32_t kPages = 64;
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 11);
  const Pipe pipe = make_pipe();
  const int32_t writer = start([&] {
    push_out();
    CHECK_EQ(write_all(pipe.writer, heap, kPages * kPageSize), 0);
  });
  uint8_t* const copy = reserve_pages(kPages);
  fill(copy, kPages, 12);
  push_out();
  CHECK_EQ(read_all(pipe.reader, copy, kPages * kPageSize), kPages * kPageSize);
  CHECK_EQ(wrong_pages(copy, kPages, 11), 0);
  CHECK_EQ(status_of_pid(writer), 0);
}

void slots_come_back() {
  constexpr uint32_t kPages = 300;
  push_out();
  const uint32_t before = memory().swap_used;
  CHECK_CHILD(fill(reserve_pages(kPages), kPages, 13); push_out(); CHECK(memory().swap_used >= before + kPages / 2));
  CHECK(memory().swap_used <= before + 20);
  uint8_t* const heap = reserve_pages(kPages);
  fill(heap, kPages, 14);
  push_out();
  CHECK(sbrk(-static_cast<int32_t>(kPages * kPageSize)) > 0);
  CHECK(memory().swap_used <= before + 20);
  CHECK_EQ(address_of(reserve_pages(kPages)), address_of(heap));
  for (uint32_t i = 0; i < kPages; ++i) CHECK_EQ(*words_at(heap, i), 0);
}

void exec_from_what_is_out() {
  static char word[] = "hello";
  const char* const argv[] = {"echo", word, nullptr};
  char text[16];
  push_out();
  CHECK_EQ(capture(argv, text, sizeof(text)), 0);
  CHECK_TEXT(text, "hello\n");
}

// A processor that runs a program without a pause must forget the program's translations too, when another pages its
// pages out. The child makes no call and takes no fault but those; on one processor it is an easy case.
void translations_are_forgotten_everywhere() {
  constexpr uint32_t kPages = 300;
  constexpr uint32_t kPasses = 600000;
  const int32_t hot = start([] {
    uint8_t* const heap = reserve_pages(kPages);
    for (uint32_t pass = 0; pass < kPasses; ++pass) {
      for (uint32_t i = 0; i < kPages; ++i) {
        if ((*words_at(heap, i))++ != pass) fail(PLACE("a page counts on from where it was"));
      }
    }
  });
  start([&] {
    for (int turn = 0; turn < 20 && process_info(hot).state != kProcZombie; ++turn) push_out();
  });
  for (int i = 0; i < 2; ++i) {
    int32_t status = -1;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
  }
}

// Killed at any moment while they page: the pages on their way find nobody, and nothing is left behind.
void killed_while_paging() {
  Random random(3);
  const uint32_t pages = memory().total;
  for (int turn = 0; turn < 8; ++turn) {
    int32_t pids[2];
    for (int32_t& pid : pids) {
      pid = start([&] {
        uint8_t* const heap = reserve_pages(pages);
        for (uint32_t i = 0;; i = (i + 1) % pages) *words_at(heap, i) = i;
      });
    }
    sleep_ticks(2 + random.below(20));
    for (const int32_t pid : pids) CHECK_EQ(kill(pid), 0);
    for (int i = 0; i < 2; ++i) {
      int32_t status = 0;
      CHECK(wait(&status) > 0);
      CHECK_EQ(status, kKilledStatus);
    }
  }
}

void many_against_a_model() {
  constexpr uint32_t kProcesses = 10;
  for (uint32_t i = 0; i < kProcesses; ++i) {
    start([&] { HeapModel(200 + i).run(6000); });
  }
  for (uint32_t i = 0; i < kProcesses; ++i) {
    int32_t status = -1;
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
  }
}

const Case kCases[] = {
    {"more_than_there_is", more_than_there_is},
    {"what_is_pushed_out_comes_back", what_is_pushed_out_comes_back},
    {"clean_pages_are_not_written_twice", clean_pages_are_not_written_twice},
    {"untouched_zeros_cost_no_swap", untouched_zeros_cost_no_swap},
    {"program_text_is_dropped_and_comes_back", program_text_is_dropped_and_comes_back},
    {"a_second_write_reaches_the_disk_too", a_second_write_reaches_the_disk_too},
    {"shared_pages_part_on_the_way_back", shared_pages_part_on_the_way_back},
    {"sharers_write_while_the_disk_does", sharers_write_while_the_disk_does, Cost::kSlow},
    {"a_child_outlives_the_parent_that_wrote", a_child_outlives_the_parent_that_wrote},
    {"fork_copies_what_is_out", fork_copies_what_is_out},
    {"calls_reach_what_is_out", calls_reach_what_is_out},
    {"pipes_reach_what_is_out", pipes_reach_what_is_out},
    {"slots_come_back", slots_come_back},
    {"exec_from_what_is_out", exec_from_what_is_out},
    {"translations_are_forgotten_everywhere", translations_are_forgotten_everywhere, Cost::kSlow},
    {"killed_while_paging", killed_while_paging, Cost::kSlow},
    {"many_against_a_model", many_against_a_model, Cost::kSlow},
};

}  // namespace

Section paging_section() {
  return section("paging", kCases, what_is_missing);
}

}  // namespace usertests
