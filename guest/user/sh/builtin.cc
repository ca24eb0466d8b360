// Built-ins: what only the shell's own process can do, and true and false, as they cost nothing.
#include "guest/user/sh/shell.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace sh {
namespace {

using Function = int32_t (*)(Shell* shell, const char* const* argv);

int32_t run_true(Shell* /*shell*/, const char* const* /*argv*/) {
  return 0;
}
int32_t run_false(Shell* /*shell*/, const char* const* /*argv*/) {
  return 1;
}

int32_t run_exit(Shell* shell, const char* const* argv) {
  uint32_t status = static_cast<uint32_t>(shell->last_status);
  if (argv[1] != nullptr && (argv[2] != nullptr || !ulib::parse_number(argv[1], 255, &status))) {
    ulib::print_to(ulib::kStderr, "usage: exit [STATUS], at most 255\n");
    return 2;
  }
  ulib::exit(static_cast<int32_t>(status));
}

// Waits for every background process; the status is that of the last to fail, or 0.
int32_t run_wait(Shell* /*shell*/, const char* const* /*argv*/) {
  int32_t result = 0;
  int32_t status = 0;
  while (ulib::wait(&status) > 0) {
    if (status != 0) result = status;
  }
  return result;
}

int32_t run_help(Shell* /*shell*/, const char* const* /*argv*/);

struct Builtin {
  const char* name;
  Function function;
  const char* help;
};

constexpr Builtin kBuiltins[] = {
    {"exit", run_exit, "exit [STATUS]    leaves the shell, with the last status by default"},
    {"false", run_false, "false            fails"},
    {"help", run_help, "help             this"},
    {"true", run_true, "true             passes"},
    {"wait", run_wait, "wait             until every background command has ended"},
};

const Builtin* find_builtin(const char* name) {
  for (const Builtin& builtin : kBuiltins) {
    if (ulib::equal(builtin.name, name)) return &builtin;
  }
  return nullptr;
}

int32_t run_help(Shell* /*shell*/, const char* const* /*argv*/) {
  ulib::print("Programs are in /bin. a | b, a < file, a > file, a 2> file, a; b, a & , a && b, a || b, $?\n");
  for (const Builtin& builtin : kBuiltins) ulib::print("  %s\n", builtin.help);
  return 0;
}

}  // namespace

bool is_builtin(const char* name) {
  return find_builtin(name) != nullptr;
}

bool run_builtin(Shell* shell, const char* const* argv, int32_t* status) {
  const Builtin* builtin = find_builtin(argv[0]);
  if (builtin == nullptr) return false;
  *status = builtin->function(shell, argv);
  return true;
}

}  // namespace sh
