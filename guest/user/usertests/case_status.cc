// What the kernel tells of itself: memstat, procs, uptime, cmdline.
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

void memstat_adds_up() {
  const MemStat stat = memory();
  CHECK(stat.total > 1000);
  CHECK(stat.free > 0 && stat.free < stat.total);
  CHECK(stat.user > 0 && stat.page_table > 0 && stat.kernel > 0);
  CHECK(stat.user_shared <= stat.user);
  CHECK(stat.free + stat.user + stat.page_table <= stat.total);
  CHECK(stat.ticks_per_second >= 10 && stat.ticks_per_second <= 10000);
}

void memstat_sizes() {
  struct {
    MemStat stat;
    uint32_t beyond;
  } buffer;
  memset(&buffer, 0xee, sizeof(buffer));
  CHECK_EQ(memstat(&buffer.stat, 0), 0);
  CHECK_EQ(buffer.stat.total, 0xeeeeeeee);
  CHECK_EQ(memstat(&buffer.stat, sizeof(uint32_t)), sizeof(uint32_t));
  CHECK(buffer.stat.total != 0xeeeeeeee);
  CHECK_EQ(buffer.stat.free, 0xeeeeeeee);
  CHECK_EQ(memstat(&buffer.stat, 0x7fffffff), sizeof(MemStat));  // from a newer program's larger struct
  CHECK_EQ(buffer.beyond, 0xeeeeeeee);
}

void memstat_counts_user_pages() {
  constexpr uint32_t kPages = 64;
  uint8_t* pages = reserve_pages(kPages);
  pages[0] = 1;  // and with it the page table
  const MemStat before = memory();
  for (uint32_t i = 1; i < kPages; ++i) pages[i * kPageSize] = 1;
  const MemStat after = memory();
  CHECK_EQ(after.user - before.user, kPages - 1);
  CHECK_EQ(before.free - after.free, kPages - 1);
  CHECK_EQ(after.faults_zero - before.faults_zero, kPages - 1);
  CHECK_EQ(after.faults_cow, before.faults_cow);
  CHECK_EQ(after.total, before.total);
}

void memstat_counts_shared_pages() {
  constexpr uint32_t kPages = 64;
  uint8_t* pages = reserve_pages(kPages);
  for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize] = 1;
  const MemStat before = memory();
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] { await(pipe.reader); });
  const MemStat forked = memory();
  CHECK(forked.user_shared >= before.user_shared + kPages);
  CHECK(forked.user < before.user + kPages / 2);  // shared frames count once
  signal(pipe.writer);
  CHECK_EQ(status_of_pid(pid), 0);
  CHECK_EQ(memory().user_shared, before.user_shared);
}

void procs_lists_this_process() {
  const ProcInfo own = process_info(getpid());
  CHECK_EQ(own.pid, getpid());
  CHECK_EQ(own.state, kProcRunning);
  CHECK_TEXT(own.name, "usertests");
  CHECK(own.resident > 5);
  CHECK(own.cr3 != 0);
  CHECK_EQ(own.cr3 % kPageSize, 0);
  CHECK(process_info(own.parent).state != kProcUnused);
  const ProcInfo init = process_info(1);
  CHECK_EQ(init.pid, 1);
  CHECK_EQ(init.parent, 0);
}

void procs_have_own_page_directories() {
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] { await(pipe.reader); });
  CHECK(process_info(pid).cr3 != process_info(getpid()).cr3);
  CHECK(process_info(pid).cr3 != process_info(1).cr3);
  signal(pipe.writer);
  CHECK_EQ(status_of_pid(pid), 0);
}

void procs_resident_follows_touches() {
  constexpr uint32_t kPages = 10;
  uint8_t* pages = reserve_pages(kPages);
  const uint32_t before = process_info(getpid()).resident;
  for (uint32_t i = 0; i < kPages; ++i) pages[i * kPageSize] = 1;
  CHECK_EQ(process_info(getpid()).resident, before + kPages);
}

void procs_limits() {
  ProcInfo list[3];
  memset(list, 0xee, sizeof(list));
  CHECK_EQ(procs(list, 0), 0);
  CHECK_EQ(procs(list, 2), 2);
  CHECK_EQ(list[2].state, 0xeeeeeeee);
  static ProcInfo all[kMaxProcs];
  const int32_t count = procs(all, kMaxProcs);
  CHECK(count >= 3 && count <= static_cast<int32_t>(kMaxProcs));
  CHECK_EQ(procs(all, UINT32_MAX), count);
  for (int32_t i = 0; i < count; ++i) {
    CHECK(all[i].pid > 0);
    CHECK(all[i].state != kProcUnused);
    CHECK(all[i].name[0] != '\0' && all[i].name[sizeof(all[i].name) - 1] == '\0');
  }
}

void uptime_moves() {
  const uint32_t before = uptime_ticks();
  while (uptime_ticks() == before) {
  }
  CHECK(uptime_ticks() > before);
}

void sleep_lasts() {
  CHECK_EQ(sleep_ticks(0), 0);
  CHECK_EQ(sleep_ticks(UINT32_MAX), -kEInval);
  for (uint32_t ticks = 1; ticks <= 10; ticks += 3) {
    const uint32_t before = uptime_ticks();
    CHECK_EQ(sleep_ticks(ticks), 0);
    const uint32_t slept = uptime_ticks() - before;
    CHECK(slept >= ticks && slept < ticks + 100);
  }
}

void cmdline_sizes() {
  static char whole[4096];
  const int32_t size = cmdline(nullptr, 0);
  CHECK(size >= 0 && size < static_cast<int32_t>(sizeof(whole)));
  memset(whole, 'x', sizeof(whole));
  CHECK_EQ(cmdline(whole, sizeof(whole)), size);
  CHECK_EQ(length(whole), size);
  CHECK_EQ(whole[size + 1], 'x');
  if (size < 2) return;
  char part[3] = {'x', 'x', 'x'};
  CHECK_EQ(cmdline(part, 2), size);
  CHECK_EQ(part[0], whole[0]);
  CHECK_EQ(part[1], whole[1]);
  CHECK_EQ(part[2], 'x');
}

const Case kCases[] = {
    {"memstat_adds_up", memstat_adds_up},
    {"memstat_sizes", memstat_sizes},
    {"memstat_counts_user_pages", memstat_counts_user_pages},
    {"memstat_counts_shared_pages", memstat_counts_shared_pages},
    {"procs_lists_this_process", procs_lists_this_process},
    {"procs_have_own_page_directories", procs_have_own_page_directories},
    {"procs_resident_follows_touches", procs_resident_follows_touches},
    {"procs_limits", procs_limits},
    {"uptime_moves", uptime_moves},
    {"sleep_lasts", sleep_lasts},
    {"cmdline_sizes", cmdline_sizes},
};

}  // namespace

Section status_section() {
  return section("status", kCases);
}

}  // namespace usertests
