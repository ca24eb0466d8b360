// forktest [N]: forks N children, or until fork fails, that all live at once and share this process's memory
// copy-on-write; each checks that it sees the parent's data and that its own writes stay its own.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace {

constexpr uint32_t kSharedPages = 16;
constexpr uint32_t kPageWords = guest_abi::kPageSize / sizeof(uint32_t);
constexpr uint32_t kParentMark = 0xfa7e4000;
alignas(guest_abi::kPageSize) volatile uint32_t shared[kSharedPages * kPageWords];

bool all_marked(uint32_t mark) {
  for (uint32_t page = 0; page < kSharedPages; ++page) {
    if (shared[page * kPageWords] != mark + page) return false;
  }
  return true;
}

void mark_all(uint32_t mark) {
  for (uint32_t page = 0; page < kSharedPages; ++page) shared[page * kPageWords] = mark + page;
}

// Waits for the parent's word, then works on memory. The exit status is the verdict.
[[noreturn]] void run_child(int32_t start_fd) {
  char go;
  if (ulib::read(start_fd, &go, 1) != 0) ulib::exit(2);  // the start is the end of the pipe
  if (!all_marked(kParentMark)) ulib::exit(3);
  const uint32_t own = static_cast<uint32_t>(ulib::getpid()) << 16;
  mark_all(own);
  for (int turn = 0; turn < 3; ++turn) {
    ulib::sleep_ticks(0);
    if (!all_marked(own)) ulib::exit(4);
  }
  ulib::exit(0);
}

// Reaps `count` children; returns how many ended well.
uint32_t reap(uint32_t count) {
  uint32_t good = 0;
  for (uint32_t i = 0; i < count; ++i) {
    int32_t status = 0;
    const int32_t pid = ulib::wait(&status);
    if (pid < 0) ulib::die("forktest: wait: %s, with %u children left", ulib::error_text(pid), count - i);
    if (status == 0) {
      ++good;
    } else {
      ulib::print("forktest: child %d found wrong memory (status %d)\n", pid, status);
    }
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  uint32_t wanted = UINT32_MAX;
  if (argc > 2 || (argc == 2 && !ulib::parse_number(argv[1], 100000, &wanted))) ulib::die("usage: forktest [N]");
  mark_all(kParentMark);
  int32_t start[2] = {-1, -1};
  const int32_t piped = ulib::pipe(start);
  if (piped < 0) ulib::die("forktest: pipe: %s", ulib::error_text(piped));

  uint32_t children = 0;
  int32_t stopped_by = 0;
  while (children < wanted) {
    const int32_t pid = ulib::fork();
    if (pid == 0) {
      ulib::close(start[1]);
      run_child(start[0]);
    }
    if (pid < 0) {
      stopped_by = pid;
      break;
    }
    ++children;
  }
  guest_abi::MemStat forked = {};
  ulib::memstat(&forked, sizeof(forked));
  ulib::close(start[1]);
  const uint32_t good = reap(children);
  guest_abi::MemStat done = {};
  ulib::memstat(&done, sizeof(done));

  const bool intact = all_marked(kParentMark);
  ulib::print("forktest: %u children at once", children);
  if (stopped_by != 0) ulib::print(", then fork said: %s", ulib::error_text(stopped_by));
  ulib::print("\nforktest: %u pages shared, %u copy-on-write faults, %u of %u children and the parent's memory %s\n",
              forked.user_shared, done.faults_cow - forked.faults_cow, good, children, intact ? "right" : "WRONG");
  return children > 0 && good == children && intact ? 0 : 1;
}
