#pragma once

#include "guest/user/sh/arena.h"
#include "guest/user/sh/ast.h"

namespace sh {

struct ParseResult {
  const Chain* list;  // null if the text has no command, or on an error
  const char* error;  // null if the text is well-formed
};

// Parses `text` into memory of `arena`. Runs without recursion, so any length is safe.
ParseResult parse(const char* text, Arena* arena);

}  // namespace sh
