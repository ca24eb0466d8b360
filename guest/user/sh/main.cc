// sh [-x] [-c TEXT | SCRIPT]: the shell. Without either it reads commands from standard input, with a prompt if that
// is a terminal.
#include "guest/user/sh/arena.h"
#include "guest/user/sh/parser.h"
#include "guest/user/sh/shell.h"
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/heap.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace {

constexpr uint32_t kLineMax = 1024;
constexpr int32_t kStatusSyntax = 2;

// Parses and runs one line. `where` names the source in errors, as does `line_number` if it is not 0.
void run_line(sh::Shell* shell, const char* line, const char* where, uint32_t line_number) {
  sh::Arena arena;
  const sh::ParseResult parsed = sh::parse(line, &arena);
  if (parsed.error != nullptr && line_number != 0) {
    ulib::print_to(ulib::kStderr, "%s:%u: %s\n", where, line_number, parsed.error);
  } else if (parsed.error != nullptr) {
    ulib::print_to(ulib::kStderr, "%s: %s\n", where, parsed.error);
  }
  if (parsed.error != nullptr) {
    shell->last_status = kStatusSyntax;
    return;
  }
  if (shell->trace && parsed.list != nullptr) ulib::print("$ %s\n", line);
  sh::run_list(shell, parsed.list, &arena);
}

// Runs `text`, which it cuts up, line by line.
void run_text(sh::Shell* shell, char* text, const char* where, bool numbered) {
  uint32_t line_number = 1;
  while (*text != '\0') {
    char* end = text;
    while (*end != '\0' && *end != '\n') ++end;
    const bool last = *end == '\0';
    *end = '\0';
    run_line(shell, text, where, numbered ? line_number : 0);
    text = last ? end : end + 1;
    ++line_number;
  }
}

int run_script(sh::Shell* shell, const char* path) {
  int32_t error = 0;
  char* text = ulib::load_file(path, &error);
  if (text == nullptr) ulib::die("sh: %s: %s", path, ulib::error_text(error));
  run_text(shell, text, path, true);
  return shell->last_status;
}

int run_input(sh::Shell* shell) {
  guest_abi::Stat stat = {};
  const bool terminal = ulib::fstat(ulib::kStdin, &stat) == 0 && stat.type == guest_abi::kFileDevice;
  char line[kLineMax];
  for (;;) {
    if (terminal) ulib::print("$ ");
    const int32_t size = ulib::read_line(ulib::kStdin, line, sizeof(line));
    if (size == -1) break;
    if (size == -2) {
      ulib::print_to(ulib::kStderr, "sh: a line has at most %u characters\n", kLineMax - 1);
      shell->last_status = kStatusSyntax;
      continue;
    }
    run_line(shell, line, "sh", 0);
  }
  if (terminal) ulib::print("\n");
  return shell->last_status;
}

}  // namespace

int main(int argc, char** argv) {
  sh::Shell shell;
  int next = 1;
  if (next < argc && ulib::equal(argv[next], "-x")) {
    shell.trace = true;
    ++next;
  }
  if (next < argc && ulib::equal(argv[next], "-c")) {
    if (next + 2 != argc) ulib::die("usage: sh [-x] -c TEXT");
    run_text(&shell, argv[next + 1], "sh", false);
    return shell.last_status;
  }
  if (next + 1 < argc || (next < argc && argv[next][0] == '-')) ulib::die("usage: sh [-x] [-c TEXT | SCRIPT]");
  return next < argc ? run_script(&shell, argv[next]) : run_input(&shell);
}
