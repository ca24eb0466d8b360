// kill PID…: ends processes.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

int main(int argc, char** argv) {
  if (argc < 2) ulib::die("usage: kill PID...");
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    uint32_t pid = 0;
    if (!ulib::parse_number(argv[i], INT32_MAX, &pid)) {
      ulib::print_to(ulib::kStderr, "kill: %s: not a process id\n", argv[i]);
      status = 1;
      continue;
    }
    const int32_t result = ulib::kill(static_cast<int32_t>(pid));
    if (result < 0) {
      ulib::print_to(ulib::kStderr, "kill: %u: %s\n", pid, ulib::error_text(result));
      status = 1;
    }
  }
  return status;
}
