#include "guest/user/usertests/check.h"

#include "guest/user/ulib/file.h"
#include "guest/user/ulib/time.h"

namespace usertests {
namespace {

const char* case_section = "";
const char* case_name = "";
int32_t case_pid = 0;

// The case's own process reports for the case; a child's failure is a detail of it, on a line of its own.
void print_failure_start(const Place& place) {
  if (getpid() == case_pid) {
    print("FAILED %s/%s %s:%d %s", case_section, case_name, place.file, place.line, place.text);
  } else {
    print("       in child %d: %s:%d %s", getpid(), place.file, place.line, place.text);
  }
}

}  // namespace

void begin_case(const char* section, const char* name) {
  case_section = section;
  case_name = name;
  case_pid = getpid();
}

void skip(const char* reason) {
  print("skip   %s/%s: %s\n", case_section, case_name, reason);
  ulib::exit(kSkippedStatus);
}

void fail(const Place& place) {
  print_failure_start(place);
  print("\n");
  ulib::exit(kCheckFailedStatus);
}

void fail_values(const Place& place, uint32_t got, uint32_t wanted) {
  print_failure_start(place);
  print(" (got %d = 0x%x, wanted %d = 0x%x)\n", static_cast<int32_t>(got), got, static_cast<int32_t>(wanted), wanted);
  ulib::exit(kCheckFailedStatus);
}

void fail_texts(const Place& place, const char* got, const char* wanted) {
  print_failure_start(place);
  print(" (got \"%s\", wanted \"%s\")\n", got, wanted);
  ulib::exit(kCheckFailedStatus);
}

int32_t fork_or_fail() {
  const int32_t pid = fork();
  if (pid < 0) fail_values(PLACE("fork()"), static_cast<uint32_t>(pid), 0);
  return pid;
}

int32_t status_of_pid(int32_t pid) {
  int32_t status = 0;
  CHECK_EQ(wait(&status), pid);
  return status;
}

MemStat memory() {
  MemStat stat = {};
  CHECK_EQ(memstat(&stat, sizeof(stat)), sizeof(stat));
  return stat;
}

ProcessList list_processes() {
  static ProcInfo list[kMaxProcs];
  // All of it, so that which pages are touched does not depend on how many processes there are.
  memset(list, 0, sizeof(list));
  const int32_t count = procs(list, kMaxProcs);
  CHECK(count > 0);
  return ProcessList{list, count};
}

ProcInfo process_info(int32_t pid) {
  const ProcessList processes = list_processes();
  for (int32_t i = 0; i < processes.count; ++i) {
    if (processes.list[i].pid == pid) return processes.list[i];
  }
  return ProcInfo{};
}

int32_t process_count() {
  return list_processes().count;
}

bool reaches_state(int32_t pid, ProcState state) {
  const uint32_t limit = 2 * ticks_per_second();
  for (uint32_t turn = 0; turn < limit; ++turn) {
    if (process_info(pid).state == state) return true;
    sleep_ticks(1);
  }
  return false;
}

Pipe make_pipe() {
  int32_t fds[2] = {-1, -1};
  CHECK_EQ(pipe(fds), 0);
  CHECK(fds[0] >= 0 && fds[1] >= 0 && fds[0] != fds[1]);
  return Pipe{fds[0], fds[1]};
}

void close_pipe(const Pipe& pipe) {
  CHECK_EQ(close(pipe.reader), 0);
  CHECK_EQ(close(pipe.writer), 0);
}

void await(int32_t reader) {
  char byte = 0;
  CHECK_EQ(read(reader, &byte, 1), 1);
}

void signal(int32_t writer) {
  CHECK_EQ(write(writer, "!", 1), 1);
}

int32_t count_open_files() {
  int32_t count = 0;
  Stat stat;
  for (int32_t fd = 0; fd < static_cast<int32_t>(kMaxFiles); ++fd) {
    if (fstat(fd, &stat) == 0) ++count;
  }
  return count;
}

int32_t capture(const char* const* argv, char* output, uint32_t capacity) {
  const Pipe pipe = make_pipe();
  const int32_t pid = fork_or_fail();
  if (pid == 0) {
    close(kStdout);
    dup(pipe.writer);
    close(kStderr);
    dup(pipe.writer);
    close_pipe(pipe);
    char path[kMaxPath];
    format_to(path, sizeof(path), "/bin/%s", argv[0]);
    exec(path, argv);
    ulib::exit(kCheckFailedStatus);
  }
  CHECK_EQ(close(pipe.writer), 0);
  const int32_t size = read_all(pipe.reader, output, capacity - 1);
  CHECK(size >= 0);
  output[size] = '\0';
  char rest[64];
  while (read(pipe.reader, rest, sizeof(rest)) > 0) {
  }
  CHECK_EQ(close(pipe.reader), 0);
  return status_of_pid(pid);
}

bool contains(const char* text, const char* part) {
  for (; *text != '\0'; ++text) {
    if (starts_with(text, part)) return true;
  }
  return *part == '\0';
}

uint8_t* reserve_pages(uint32_t pages) {
  const uint32_t current = static_cast<uint32_t>(sbrk(0));
  const uint32_t gap = (kPageSize - current % kPageSize) % kPageSize;
  const int32_t result = sbrk(static_cast<int32_t>(gap + pages * kPageSize));
  CHECK(result >= 0);
  return reinterpret_cast<uint8_t*>(static_cast<uint32_t>(result) + gap);
}

}  // namespace usertests
