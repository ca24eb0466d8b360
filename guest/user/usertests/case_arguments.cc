// exec: what a program is started with, and what it keeps. The exec'd side is exec_check, below.
#include "guest/user/ulib/file.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

constexpr char kSelf[] = "/bin/usertests";

// Execs this program in a child; `argv` after "usertests --exec-check" up to a null. Returns its status.
int32_t exec_self(const char* const* argv) {
  const char* full[kMaxArgs + 1] = {"usertests", "--exec-check"};
  for (uint32_t i = 0; argv[i] != nullptr; ++i) full[i + 2] = argv[i];
  return status_of([&] { ulib::exit(exec(kSelf, full)); });
}

void arguments_arrive() {
  const char* const argv[] = {"arguments", "", "two words", "\xff\x80\t\"'", nullptr};
  CHECK_EQ(exec_self(argv), 0);
}

int check_arguments(int argc, char** argv) {
  const char* const wanted[] = {"usertests", "--exec-check", "arguments", "", "two words", "\xff\x80\t\"'"};
  CHECK_EQ(argc, 6);
  for (int i = 0; i < argc; ++i) CHECK_TEXT(argv[i], wanted[i]);
  CHECK(argv[argc] == nullptr);
  CHECK_EQ(address_of(argv) % 4, 0);
  CHECK(address_of(argv) > kUserTop - kUserStackMax && address_of(argv) < kUserTop);
  return 0;
}

void most_arguments() {
  const char* argv[kMaxArgs + 2] = {"echo"};
  for (uint32_t i = 1; i < kMaxArgs; ++i) argv[i] = "a";
  char output[256];
  CHECK_EQ(capture(argv, output, sizeof(output)), 0);
  CHECK_EQ(length(output), 2 * (kMaxArgs - 1));
  argv[kMaxArgs] = "a";
  CHECK_EQ(exec("/bin/echo", argv), -kE2Big);
}

void longest_arguments() {
  static char text[kMaxArgBytes + 1];
  memset(text, 'z', sizeof(text) - 1);
  const char* const argv[] = {"echo", text, nullptr};
  CHECK_EQ(exec("/bin/echo", argv), -kE2Big);
  text[kMaxArgBytes - sizeof("echo") - 1] = '\0';  // with its NUL it now fills the room to the byte
  static char output[kMaxArgBytes + 16];
  CHECK_EQ(capture(argv, output, sizeof(output)), 0);
  CHECK_EQ(length(output), length(text) + 1);
  text[kMaxArgBytes - sizeof("echo") - 1] = 'z';
  text[kMaxArgBytes - sizeof("echo")] = '\0';
  CHECK_EQ(exec("/bin/echo", argv), -kE2Big);
}

void endless_arguments() {
  // No null ends the array: it runs to the end of a page that no other follows.
  auto* page = reinterpret_cast<const char**>(reserve_pages(1));
  for (uint32_t i = 0; i < kPageSize / sizeof(char*); ++i) page[i] = "a";
  CHECK_EQ(exec("/bin/echo", page), -kE2Big);
  CHECK_EQ(exec("/bin/echo", page + kPageSize / sizeof(char*) - 2), -kEFault);
}

void no_arguments() {
  const char* const argv[] = {nullptr};
  CHECK_EQ(status_of([&] { ulib::exit(exec("/etc/tests/good", argv)); }), 42);
}

void fresh_memory() {
  uint8_t* heap = reserve_pages(100);
  memset(heap, 0x5a, 100 * kPageSize);
  const char* const argv[] = {"memory", nullptr};
  CHECK_EQ(exec_self(argv), 0);
}

uint8_t zeroes[3 * kPageSize];

int check_memory() {
  for (const uint8_t byte : zeroes) CHECK_EQ(byte, 0);
  const uint8_t* heap = reserve_pages(100);
  for (uint32_t i = 0; i < 100 * kPageSize; i += 16) CHECK_EQ(heap[i], 0);
  // Of the stack nothing is left below where main stands: the old program's locals are gone.
  const uint32_t stack = address_of(__builtin_frame_address(0)) & ~(kPageSize - 1);
  for (uint32_t i = 1; i < kPageSize; i += 16) CHECK_EQ(*at(stack - 2 * kPageSize + i), 0);
  return 0;
}

void general_registers_are_zero() {
  const char* const argv[] = {"registers", nullptr};
  CHECK_EQ(status_of([&] { ulib::exit(exec("/etc/tests/registers", argv)); }), 0);
}

void descriptors_stay_open() {
  const int32_t fd = open("/etc/motd", kOpenRead);
  CHECK_EQ(fd, 3);
  CHECK_EQ(close(kStdin), 0);
  const char* const argv[] = {"descriptors", nullptr};
  CHECK_EQ(exec_self(argv), 0);
}

int check_descriptors() {
  char byte = 0;
  Stat stat;
  CHECK_EQ(fstat(0, &stat), -kEBadf);
  CHECK_EQ(fstat(1, &stat), 0);
  CHECK_EQ(fstat(2, &stat), 0);
  CHECK_EQ(read(3, &byte, 1), 1);
  CHECK_EQ(fstat(4, &stat), -kEBadf);
  return 0;
}

void pid_and_name() {
  const char* const argv[] = {"name", nullptr};
  const char* full[] = {"another name", "--exec-check", argv[0], nullptr};
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] {
    const int32_t own = getpid();
    CHECK_EQ(write(pipe.writer, &own, sizeof(own)), sizeof(own));
    ulib::exit(exec("//bin//usertests", full));
  });
  int32_t told = 0;
  CHECK_EQ(read_all(pipe.reader, &told, sizeof(told)), sizeof(told));
  CHECK_EQ(told, pid);
  CHECK_EQ(status_of_pid(pid), 0);
}

// A process is called by its file, not by what it calls itself.
int check_name() {
  CHECK_TEXT(process_info(getpid()).name, "usertests");
  return 0;
}

void children_survive_exec() {
  CHECK_EQ(status_of([] {
             start([] { ulib::exit(17); });
             const char* const argv[] = {"usertests", "--exec-check", "child", nullptr};
             ulib::exit(exec(kSelf, argv));
           }),
           0);
}

int check_child() {
  int32_t status = 0;
  CHECK(wait(&status) > 0);
  CHECK_EQ(status, 17);
  return 0;
}

const Case kCases[] = {
    {"arguments_arrive", arguments_arrive},
    {"most_arguments", most_arguments},
    {"longest_arguments", longest_arguments},
    {"endless_arguments", endless_arguments},
    {"no_arguments", no_arguments},
    {"fresh_memory", fresh_memory},
    {"general_registers_are_zero", general_registers_are_zero},
    {"descriptors_stay_open", descriptors_stay_open},
    {"pid_and_name", pid_and_name},
    {"children_survive_exec", children_survive_exec},
};

}  // namespace

int exec_check(int argc, char** argv) {
  const char* mode = argc > 2 ? argv[2] : "";
  if (equal(mode, "arguments")) return check_arguments(argc, argv);
  if (equal(mode, "memory")) return check_memory();
  if (equal(mode, "descriptors")) return check_descriptors();
  if (equal(mode, "name")) return check_name();
  if (equal(mode, "child")) return check_child();
  return 1;
}

Section arguments_section() {
  return section("arguments", kCases);
}

}  // namespace usertests
