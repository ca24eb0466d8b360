// The kernel command line: words separated by blanks, each `name` or `name=value`; a value in double quotes may
// hold blanks. The kernel's own options: quiet (no banner), die=… (die.h).
#pragma once

#include <stdint.h>

namespace twofold::kernel::cmdline {

// One word. `value` is null if there is no '='; quotes around it are not part of it. Not NUL-terminated.
struct Option {
  const char* name;
  uint32_t name_length;
  const char* value;
  uint32_t value_length;
};

// Copies the line, NUL-terminated at guest-physical `address` (0: no line), cut at 4095 characters.
void init(uint64_t address);

// The whole line and its length.
const char* text();
uint32_t length();

// Puts the word at `*position` into `option`, moves `*position` past it; false at the end. Start with 0.
bool next(uint32_t* position, Option* option);

// The first option called `name`; false if there is none.
bool find(const char* name, Option* option);

}  // namespace twofold::kernel::cmdline
