// What one shell remembers, and what it does with a command line.
#pragma once

#include <stdint.h>

#include "guest/user/sh/arena.h"
#include "guest/user/sh/ast.h"

namespace sh {

struct Shell {
  int32_t last_status = 0;
  bool trace = false;  // -x: print each line before running it
};

// Runs the chains of `list` in order; `arena`, the list's own, also serves for what running takes.
void run_list(Shell* shell, const Chain* list, Arena* arena);

// If `argv[0]` names a built-in, runs it, puts its status into `*status` and returns true.
bool run_builtin(Shell* shell, const char* const* argv, int32_t* status);
bool is_builtin(const char* name);

}  // namespace sh
