// Command lines of programs with many knobs: one word, and then "--name VALUE" in any order.
#pragma once

#include <stdint.h>

namespace ulib {

// What a name on the command line sets. Exactly one of the two kinds.
struct Option {
  const char* name;  // without the dashes
  uint32_t* value;
  uint32_t max;                // a number: at most this
  const char* const* choices;  // or the index of a word of these, which end with a null
  const char* help;
};

// What a program says of itself. `word` names the number that comes first; null if there is none.
struct Usage {
  const char* program;
  const char* word;
  uint32_t* word_value;
  uint32_t word_max;
  const char* help;
};

// Sets what argv names. --help prints the usage and exits with 0; what cannot be understood is told in one line, and
// the program exits with 2.
void parse_options(int argc, char** argv, const Usage& usage, const Option* options, uint32_t count);

template <uint32_t N>
void parse_options(int argc, char** argv, const Usage& usage, const Option (&options)[N]) {
  parse_options(argc, argv, usage, options, N);
}

}  // namespace ulib
