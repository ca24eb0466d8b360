// The programs of /bin, and the shell's language, as their user sees them.
#include "guest/user/ulib/file.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

// Runs `sh -c text`; what it prints is left in `output`.
char output[4096];
int32_t shell(const char* text) {
  const char* const argv[] = {"sh", "-c", text, nullptr};
  return capture(argv, output, sizeof(output));
}

struct Line {
  const char* text;
  const char* prints;
  int32_t status;
};

// Fails the case unless each line prints exactly that, standard error included, and ends with that status.
template <uint32_t N>
void check_lines(const Line (&lines)[N]) {
  for (const Line& line : lines) {
    const int32_t status = shell(line.text);
    if (status != line.status || !equal(output, line.prints)) print("       sh -c '%s'\n", line.text);
    CHECK_TEXT(output, line.prints);
    CHECK_EQ(status, line.status);
  }
}

void shell_words() {
  const Line lines[] = {
      {"echo", "\n", 0},
      {"echo a  b\tc", "a b c\n", 0},
      {"echo 'a  b' \"c  d\"", "a  b c  d\n", 0},
      {"echo a'b'\"c\"d", "abcd\n", 0},
      {"echo '' x \"\"", " x \n", 0},
      {"echo \\' \\\\ \\; '\\' \"\\\"\"", "' \\ ; \\ \"\n", 0},
      {"echo '|' \"&&\" ';' '<' '>' '#'", "| && ; < > #\n", 0},
      {"echo a # not b", "a\n", 0},
      {"echo a#b", "a#b\n", 0},
      {"# nothing", "", 0},
      {"", "", 0},
      {"   ", "", 0},
      {" ; ; ", "", 0},
  };
  check_lines(lines);
}

void shell_control() {
  const Line lines[] = {
      {"true", "", 0},
      {"false", "", 1},
      {"exit 7; echo no", "", 7},
      {"true && echo yes", "yes\n", 0},
      {"false && echo no", "", 1},
      {"false || echo yes", "yes\n", 0},
      {"true || echo no", "", 0},
      {"false && echo no || echo yes", "yes\n", 0},
      {"true || echo no && echo yes", "yes\n", 0},
      {"echo a; echo b\necho c", "a\nb\nc\n", 0},
      {"false; true", "", 0},
      {"sh -c 'exit 3'; echo $? \"$?\" '$?'; echo $?", "3 3 $?\n0\n", 0},
      {"sh -c 'exit 9' & wait", "", 9},
      {"wait", "", 0},
      {"sleep 0.05 & echo first; wait; echo last", "first\nlast\n", 0},
  };
  check_lines(lines);
}

void shell_pipes_and_files() {
  const Line lines[] = {
      {"echo a b | cat", "a b\n", 0},
      {"echo a | cat | cat | cat | cat", "a\n", 0},
      {"false | true", "", 0},
      {"true | false", "", 1},
      {"echo lost | true", "", 0},
      {"cat < /etc/tests/text", "#!/bin/sh\necho this is no program\n", 0},
      {"</etc/tests/text cat", "#!/bin/sh\necho this is no program\n", 0},
      {"cat < /etc/tests/text | cat", "#!/bin/sh\necho this is no program\n", 0},
      {"cat /no-such-file 2>&1 | cat", "cat: /no-such-file: no such file or process\n", 0},
      {"echo a 2>&1", "a\n", 0},
      {"echo a >&2", "a\n", 0},
      {"sh /etc/tests/text", "this is no program\n", 0},
  };
  check_lines(lines);
}

void shell_errors() {
  const Line lines[] = {
      {"no-such-command", "sh: no-such-command: command not found\n", 127},
      {"/etc/motd", "sh: /etc/motd: not a program that can run\n", 126},
      {"/etc", "sh: /etc: is a directory\n", 126},
      {"cat < /no-such-file", "sh: /no-such-file: no such file or process\n", 1},
      {"echo x > /etc/motd", "sh: /etc/motd: read-only file system\n", 1},
      {"echo x > /etc", "sh: /etc: is a directory\n", 1},
      {"echo 'open", "sh: missing closing '\n", 2},
      {"echo \"open", "sh: missing closing \"\n", 2},
      {"| cat", "sh: a command is missing\n", 2},
      {"echo a |", "sh: a command is missing\n", 2},
      {"echo a && ; echo b", "sh: a command is missing\n", 2},
      {"&", "sh: a command is missing\n", 2},
      {"cat <", "sh: a file name is missing after < or >\n", 2},
      {"cat < | cat", "sh: a file name is missing after < or >\n", 2},
      {"echo a >> b", "sh: there is no >>: no file can grow here\n", 2},
      {"exit 300", "usage: exit [STATUS], at most 255\n", 2},
      {"sh /no-such-script", "sh: /no-such-script: no such file or process\n", 1},
  };
  check_lines(lines);
}

// Longer than any buffer on the way, and deeper than the process table.
void shell_long_lines() {
  static char text[kMaxArgBytes - 16];
  memset(text, ' ', sizeof(text) - 1);
  for (uint32_t i = 0; i < 4; ++i) text[i] = "echo"[i];
  text[sizeof(text) - 2] = 'x';
  CHECK_EQ(shell(text), 0);
  CHECK_TEXT(output, "x\n");
  copy(text, sizeof(text), "true");
  for (uint32_t i = 0; i < kMaxProcs + 10; ++i) copy(text + 4 + i * 6, sizeof(text), "| true");
  CHECK_EQ(shell(text), 1);
  CHECK_TEXT(output, "sh: cannot start true: no more processes\n");
}

void cat_and_echo() {
  const Line lines[] = {
      {"echo -n a; echo -n b", "ab", 0},
      {"cat /etc/tests/text /etc/tests/text",
       "#!/bin/sh\necho this is no program\n#!/bin/sh\necho this is no program\n", 0},
      {"cat /bin", "cat: /bin: is a directory\n", 1},
      {"cat /no-such-file", "cat: /no-such-file: no such file or process\n", 1},
      {"cat /bin/usertests | true", "cat: standard output: broken pipe\n", 0},
  };
  check_lines(lines);
}

void ls_lists() {
  CHECK_EQ(shell("ls"), 0);
  CHECK(contains(output, "bin/\n") && contains(output, "  init\n") && contains(output, "etc/\n"));
  CHECK_EQ(shell("ls /bin"), 0);
  CHECK(contains(output, "  usertests\n") && contains(output, "  sh\n"));
  CHECK_EQ(shell("ls /etc/motd /no-such-file"), 1);
  CHECK(contains(output, "/etc/motd\n") && contains(output, "ls: /no-such-file: no such file or process\n"));
}

void ps_and_kill() {
  CHECK_EQ(shell("ps"), 0);
  CHECK(contains(output, " PID PPID STATE   RES K SWAP K        CR3 TICKS  NAME\n"));
  CHECK(contains(output, "  init\n") && contains(output, "  ps\n") && contains(output, "  usertests\n"));
  const int32_t pid = start([] { sleep_ticks(INT32_MAX); });
  char text[64];
  format_to(text, sizeof(text), "kill %d", pid);
  const int32_t killer = start([&] { CHECK_EQ(shell(text), 0); });
  for (int i = 0; i < 2; ++i) {
    int32_t status = 0;
    const int32_t ended = wait(&status);
    CHECK_EQ(status, ended == killer ? 0 : kKilledStatus);
  }
  CHECK_EQ(shell(text), 1);
  CHECK(contains(output, "no such file or process\n"));
  CHECK_EQ(shell("kill x"), 1);
  CHECK_EQ(shell("kill 1"), 1);
  CHECK(contains(output, "invalid argument\n"));
}

void free_tells() {
  CHECK_EQ(shell("free"), 0);
  const char* const rows[] = {"total ", "used ", "free ", "kernel ", "page-table ", "user ", "shared ", "page faults "};
  for (const char* row : rows) CHECK(contains(output, row));
  CHECK_EQ(shell("free --help"), 0);
  CHECK(contains(output, "usage: free"));
}

void touchmem_and_forktest() {
  CHECK_EQ(shell("touchmem 1 0.05"), 0);
  CHECK(contains(output, "1 MiB in ") && contains(output, " 256 page faults (256 pages), verified\n"));
  CHECK(contains(output, "1 MiB unchanged after 0.05 s\n"));
  CHECK_EQ(shell("touchmem 0"), 1);
  CHECK_EQ(shell("touchmem x"), 1);
  CHECK_EQ(shell("forktest 5"), 0);
  CHECK(contains(output, "5 children at once\n") &&
        contains(output, "5 of 5 children and the parent's memory right\n"));
}

void forktest_to_the_limit() {
  CHECK_EQ(shell("forktest"), 0);
  CHECK(contains(output, "then fork said: no more processes\n") && contains(output, "memory right\n"));
}

void sleep_and_usage() {
  const uint32_t before = uptime_ticks();
  CHECK_EQ(shell("sleep 0.1"), 0);
  CHECK(uptime_ticks() - before >= memory().ticks_per_second / 10);
  CHECK_EQ(shell("sleep"), 1);
  CHECK_EQ(shell("sleep 1x"), 1);
  CHECK_EQ(shell("halt nonsense"), 1);
  CHECK_EQ(shell("usertests no-such-section"), 2);
}

const Case kCases[] = {
    {"shell_words", shell_words},
    {"shell_control", shell_control},
    {"shell_pipes_and_files", shell_pipes_and_files},
    {"shell_errors", shell_errors},
    {"shell_long_lines", shell_long_lines},
    {"cat_and_echo", cat_and_echo},
    {"ls_lists", ls_lists},
    {"ps_and_kill", ps_and_kill},
    {"free_tells", free_tells},
    {"touchmem_and_forktest", touchmem_and_forktest},
    {"forktest_to_the_limit", forktest_to_the_limit, Cost::kSlow},
    {"sleep_and_usage", sleep_and_usage},
};

}  // namespace

Section programs_section() {
  return section("programs", kCases);
}

}  // namespace usertests
