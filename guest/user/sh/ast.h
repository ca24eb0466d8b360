// What a command line means:
//
//   List     := Chain { (";" | "&" | newline) Chain }
//   Chain    := Pipeline { ("&&" | "||") Pipeline }
//   Pipeline := Command { "|" Command }
//   Command  := word { word | "<" word | ">" word | "2>" word | ">&" fd }
//
// All of it lives in the Arena it was parsed with.
#pragma once

#include <stdint.h>

namespace sh {

struct Word {
  const char* text;
  Word* next;
};

struct Redirect {
  int32_t fd;        // which descriptor
  int32_t other_fd;  // which it becomes a copy of, if there is no path
  const char* path;
  uint32_t flags;  // guest_abi::OpenFlag
  Redirect* next;
};

struct Command {
  Word* words;  // at least one
  uint32_t word_count;
  Redirect* redirects;  // applied in order
  Command* next;        // reads what this one writes
};

enum class Condition { kAlways, kIfPassed, kIfFailed };

struct Pipeline {
  Condition condition;  // on the status of what ran before it in the chain
  Command* commands;
  Pipeline* next;
};

struct Chain {
  Pipeline* pipelines;
  bool background;
  Chain* next;
};

}  // namespace sh
