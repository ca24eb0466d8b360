// What usertests' cases are written with.
//
// A case is a function that runs in a process of its own. A failed check prints its place and ends that process, so
// nothing after it runs; a case that returns has passed. The runner also fails a case that leaks memory or leaves
// processes behind.
#pragma once

#include <stdint.h>

#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace usertests {

using namespace guest_abi;  // NOLINT: the contract is what this program speaks of
using namespace ulib;       // NOLINT: and the library is what it speaks with

// kQuick cases also make up the `core` run, for emulators of some ten million instructions a second.
enum class Cost { kQuick, kSlow };

struct Case {
  const char* name;
  void (*run)();
  Cost cost = Cost::kQuick;
};

struct Section {
  const char* name;
  const Case* cases;
  uint32_t count;
  const char* (*missing)();  // what the machine lacks for all of them; null: they can run. May be null itself
};

template <uint32_t N>
constexpr Section section(const char* name, const Case (&cases)[N], const char* (*missing)() = nullptr) {
  return Section{name, cases, N, missing};
}

Section arguments_section();
Section copy_on_write_section();
Section exec_section();
Section files_section();
Section heap_section();
Section machine_section();
Section paging_section();
Section pipes_section();
Section pointers_section();
Section processes_section();
Section programs_section();
Section protection_section();
Section scheduling_section();
Section status_section();
Section stress_section();

// Begins a case: what it prints on failure names it, and tells the case's process from its children.
void begin_case(const char* section, const char* name);

// Where a check stands, and its text.
struct Place {
  const char* file;
  int line;
  const char* text;
};

// Ends the case as not done, and says why. For the case's own process only.
[[noreturn]] void skip(const char* reason);

[[noreturn]] void fail(const Place& place);
[[noreturn]] void fail_values(const Place& place, uint32_t got, uint32_t wanted);
[[noreturn]] void fail_texts(const Place& place, const char* got, const char* wanted);

// The status of a child that a failed check ended; one that no body returns by chance.
constexpr int32_t kCheckFailedStatus = 99;
constexpr int32_t kSkippedStatus = 98;

#define PLACE(text) (::usertests::Place{__FILE__, __LINE__, text})

#define CHECK(condition) ((condition) ? void() : ::usertests::fail(PLACE(#condition)))

// Integers of 32 bits, of either sign.
#define CHECK_EQ(got, wanted) \
  ::usertests::check_equal(PLACE(#got " == " #wanted), static_cast<uint32_t>(got), static_cast<uint32_t>(wanted))

#define CHECK_TEXT(got, wanted) ::usertests::check_text(PLACE(#got " is " #wanted), got, wanted)

// Runs the statements in a child, which must end well: a check in there works as it does outside.
#define CHECK_CHILD(...) \
  ::usertests::check_equal(PLACE("a child ends well"), ::usertests::status_of([&] { __VA_ARGS__; }), 0)

// Runs the statements in a child, which must die of them: of a fault that the kernel counts, not by a check.
#define CHECK_KILLED(...) ::usertests::check_killed(PLACE("killed by " #__VA_ARGS__), [&] { __VA_ARGS__; })

inline void check_equal(const Place& place, uint32_t got, uint32_t wanted) {
  if (got != wanted) fail_values(place, got, wanted);
}

inline void check_text(const Place& place, const char* got, const char* wanted) {
  if (!ulib::equal(got, wanted)) fail_texts(place, got, wanted);
}

// Forks; the child never returns from a null result. REQUIRES: processes are left.
int32_t fork_or_fail();

// Waits for exactly this child, which must be the next to end. Returns its status.
int32_t status_of_pid(int32_t pid);

// The status of a child that runs `body`: 0 if that returns.
template <typename Body>
int32_t status_of(Body body) {
  const int32_t pid = fork_or_fail();
  if (pid == 0) {
    body();
    ulib::exit(0);
  }
  return status_of_pid(pid);
}

// Forks a child that runs `body` while this process goes on. Returns its pid.
template <typename Body>
int32_t start(Body body) {
  const int32_t pid = fork_or_fail();
  if (pid == 0) {
    body();
    ulib::exit(0);
  }
  return pid;
}

guest_abi::MemStat memory();

template <typename Body>
void check_killed(const Place& place, Body body) {
  const uint32_t before = memory().faults_killed;
  const int32_t status = status_of(body);
  if (status != guest_abi::kKilledStatus) {
    fail_values(place, static_cast<uint32_t>(status), static_cast<uint32_t>(guest_abi::kKilledStatus));
  }
  if (memory().faults_killed != before + 1) fail_values(place, memory().faults_killed - before, 1);
}

// All processes, until the next call.
struct ProcessList {
  const guest_abi::ProcInfo* list;
  int32_t count;
};
ProcessList list_processes();

// The ProcInfo of `pid`; state kProcUnused if there is none.
guest_abi::ProcInfo process_info(int32_t pid);
int32_t process_count();

// Waits, for a second or two at most, until process `pid` is in `state`. False if that does not come.
bool reaches_state(int32_t pid, guest_abi::ProcState state);

struct Pipe {
  int32_t reader;
  int32_t writer;
};
Pipe make_pipe();
void close_pipe(const Pipe& pipe);

// Blocks until the other side of a pipe writes a byte, or writes one: how two processes keep in step.
void await(int32_t reader);
void signal(int32_t writer);

int32_t count_open_files();

// Runs a program with its standard output and error caught, cut to `capacity` and NUL-terminated. Returns its status.
int32_t capture(const char* const* argv, char* output, uint32_t capacity);

// Whether `part` is somewhere in `text`.
bool contains(const char* text, const char* part);

// Fresh heap, page-aligned, not yet touched. Fails the case if there is none.
uint8_t* reserve_pages(uint32_t pages);

// What this program does when a case has exec'd it with "--exec-check MODE …": looks at how it was started.
int exec_check(int argc, char** argv);

inline volatile uint8_t* at(uint32_t address) {
  return reinterpret_cast<volatile uint8_t*>(address);
}

}  // namespace usertests
