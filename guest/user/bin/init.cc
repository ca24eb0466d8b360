// init: process 1. Opens the console, then either runs the command line's run="…" once and reports its status
// through the debug-exit port, or keeps an interactive shell alive. Adopts and reaps every orphan.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace {

constexpr uint32_t kCommandLineMax = 4096;
char command_line[kCommandLineMax];

// The value of run="…" (or run=word), NUL-terminated in place; null if there is none.
const char* run_option(char* line) {
  constexpr char kName[] = "run=";
  bool quoted = false;
  for (char* cursor = line; *cursor != '\0'; ++cursor) {
    const bool at_word = cursor == line || cursor[-1] == ' ';
    if (!quoted && at_word && ulib::starts_with(cursor, kName)) {
      char* value = cursor + sizeof(kName) - 1;
      const char end = *value == '"' ? '"' : ' ';
      if (end == '"') ++value;
      char* tail = value;
      while (*tail != '\0' && *tail != end) ++tail;
      *tail = '\0';
      return value;
    }
    if (*cursor == '"') quoted = !quoted;
  }
  return nullptr;
}

void open_console() {
  if (ulib::open("/dev/console", guest_abi::kOpenReadWrite) != ulib::kStdin || ulib::dup(0) != ulib::kStdout ||
      ulib::dup(0) != ulib::kStderr) {
    ulib::shutdown(guest_abi::kVerdictFail);  // there is nowhere to say why
  }
}

void print_motd() {
  const int32_t fd = ulib::open("/etc/motd", guest_abi::kOpenRead);
  if (fd < 0) return;
  char buffer[256];
  int32_t got;
  while ((got = ulib::read(fd, buffer, sizeof(buffer))) > 0) {
    ulib::write_all(ulib::kStdout, buffer, static_cast<uint32_t>(got));
  }
  ulib::close(fd);
}

// Starts a shell with `argv` and reaps whatever ends until it does. Returns its status.
int32_t run_shell(const char* const* argv) {
  const int32_t shell = ulib::fork();
  if (shell == 0) {
    const int32_t error = ulib::exec("/bin/sh", argv);
    ulib::die("init: cannot run /bin/sh: %s", ulib::error_text(error));
  }
  if (shell < 0) {
    ulib::print("init: cannot fork: %s\n", ulib::error_text(shell));
    return guest_abi::kKilledStatus;
  }
  for (;;) {
    int32_t status = 0;
    const int32_t pid = ulib::wait(&status);
    if (pid == shell) return status;
    if (pid < 0) {
      ulib::print("init: lost the shell: %s\n", ulib::error_text(pid));
      return guest_abi::kKilledStatus;
    }
  }
}

}  // namespace

int main() {
  open_console();
  print_motd();
  const int32_t size = ulib::cmdline(command_line, sizeof(command_line));
  command_line[sizeof(command_line) - 1] = '\0';
  const char* command = size > 0 ? run_option(command_line) : nullptr;
  if (command != nullptr) {
    const char* const argv[] = {"sh", "-c", command, nullptr};
    const int32_t status = run_shell(argv);
    ulib::print("init: \"%s\" ended with status %d\n", command, status);
    ulib::shutdown(status == 0 ? guest_abi::kVerdictPass : guest_abi::kVerdictFail);
  }
  const char* const argv[] = {"sh", nullptr};
  for (;;) {
    const int32_t status = run_shell(argv);
    ulib::print("init: the shell ended with status %d; starting another\n", status);
    if (status != 0) ulib::sleep_ticks(50);  // a shell that cannot start must not spin
  }
}
