// exec: files that are no programs, or hostile ones. The build makes them (make_hostile_elf.cc).
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

// Execs a file of /etc/tests in a child. Returns exec's error as the child saw it, or else the program's status.
int32_t try_exec(const char* name) {
  char path[kMaxPath];
  format_to(path, sizeof(path), "/etc/tests/%s", name);
  const char* const argv[] = {name, nullptr};
  return status_of([&] { ulib::exit(exec(path, argv)); });
}

void good_programs_run() {
  CHECK_EQ(try_exec("good"), 42);
  CHECK_EQ(try_exec("zero_fill"), 0);
  CHECK_EQ(try_exec("page_of_two_segments"), 42);
}

// Files that exec must refuse.
const char* const kRefused[] = {
    "empty",
    "one_byte",
    "magic_only",
    "header_cut",
    "header_only",
    "segment_table_cut",
    "headers_only",
    "last_byte_cut",
    "program_cut",
    "text",
    "bad_magic",
    "class_64",
    "big_endian",
    "other_machine",
    "relocatable",
    "shared_object",
    "no_segments",
    "no_load_segment",
    "many_segments",
    "segment_table_past_end",
    "segment_table_wraps",
    "segment_entry_size",
    "offset_past_end",
    "offset_wraps",
    "size_past_end",
    "size_wraps",
    "file_over_memory",
    "at_null",
    "in_kernel",
    "at_kernel_base",
    "into_kernel",
    "in_stack",
    "into_stack",
    "address_wraps",
    "memory_wraps",
    "memory_to_kernel",
};

void malformed_programs_are_refused() {
  for (const char* name : kRefused) {
    const int32_t result = try_exec(name);
    if (result != -kENoexec) print("       /etc/tests/%s:\n", name);
    CHECK_EQ(result, -kENoexec);
  }
}

// An entry outside the program is either refused, or the first instruction faults.
void bad_entries_do_not_run() {
  const char* const names[] = {"entry_null", "entry_in_kernel", "entry_unmapped"};
  for (const char* name : names) {
    const int32_t result = try_exec(name);
    if (result != kKilledStatus) CHECK_EQ(result, -kENoexec);
  }
}

void no_program_there() {
  const char* const argv[] = {"x", nullptr};
  CHECK_EQ(exec("/bin/no-such-program", argv), -kENoent);
  CHECK_EQ(exec("", argv), -kENoent);
  CHECK_EQ(exec("/bin/sh/x", argv), -kENotdir);
  CHECK_EQ(exec("/bin", argv), -kEIsdir);
  CHECK_EQ(exec("/dev/console", argv), -kENoexec);
}

// After each refusal the caller is as it was: memory, files, name.
void refusal_changes_nothing() {
  uint8_t* page = reserve_pages(1);
  page[7] = 0x5a;
  const int32_t fd = open("/etc/motd", kOpenRead);
  const int32_t old_break = sbrk(0);
  const MemStat before = memory();
  const char* const argv[] = {"x", nullptr};
  const char* const paths[] = {"/etc/tests/last_byte_cut", "/etc/tests/in_stack", "/etc/motd", "/no-such-file"};
  for (const char* path : paths) CHECK(exec(path, argv) < 0);
  const MemStat after = memory();
  CHECK_EQ(page[7], 0x5a);
  CHECK_EQ(sbrk(0), old_break);
  CHECK_EQ(after.free, before.free);
  CHECK_EQ(after.user, before.user);
  CHECK_EQ(after.page_table, before.page_table);
  CHECK_TEXT(process_info(getpid()).name, "usertests");
  char byte = 0;
  CHECK_EQ(read(fd, &byte, 1), 1);
}

// Randomly damaged headers: whatever they do, they do it to themselves.
void mutants() {
  for (uint32_t i = 0; i < 48; ++i) {
    char path[kMaxPath];
    format_to(path, sizeof(path), "/etc/tests/mutant%02u", i);
    const char* const argv[] = {path, nullptr};
    const int32_t pid = start([&] { ulib::exit(exec(path, argv)); });
    if (!reaches_state(pid, kProcZombie)) kill(pid);  // one that runs in circles
    const int32_t status = status_of_pid(pid);
    CHECK(status != -kENoent);
  }
}

void a_program_comes_page_by_page() {
  const MemStat before = memory();
  const char* const argv[] = {"echo", "-n", nullptr};
  char text[4];
  CHECK_EQ(capture(argv, text, sizeof(text)), 0);
  const MemStat after = memory();
  Stat stat = {};
  const int32_t fd = open("/bin/echo", kOpenRead);
  CHECK_EQ(fstat(fd, &stat), 0);
  CHECK(after.faults_file > before.faults_file);
  CHECK(after.faults_file - before.faults_file <= stat.size / kPageSize + 2);
}

const Case kCases[] = {
    {"good_programs_run", good_programs_run},
    {"malformed_programs_are_refused", malformed_programs_are_refused},
    {"bad_entries_do_not_run", bad_entries_do_not_run},
    {"no_program_there", no_program_there},
    {"refusal_changes_nothing", refusal_changes_nothing},
    {"mutants", mutants, Cost::kSlow},
    {"a_program_comes_page_by_page", a_program_comes_page_by_page},
};

}  // namespace

Section exec_section() {
  return section("exec", kCases);
}

}  // namespace usertests
