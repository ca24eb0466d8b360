// Words and operators of a command line.
//
// Words: letters of any kind, 'literal', "with $?", and \ before a character that shall lose its meaning. A # where
// a word could start begins a comment.
#pragma once

#include <stdint.h>

#include "guest/user/sh/arena.h"

namespace sh {

enum class TokenKind {
  kWord,
  kPipe,        // |
  kAnd,         // &&
  kOr,          // ||
  kSemicolon,   // ; or a newline
  kBackground,  // &
  kReadFrom,    // <
  kWriteTo,     // > and 2>
  kSameAs,      // >&1 and 2>&1
  kEnd,
  kError,
};

// Stands for $? in a word's text until the word is expanded, as the status is not known before.
constexpr char kStatusMark = '\x01';

struct Token {
  TokenKind kind;
  int32_t fd;        // kWriteTo, kSameAs: the descriptor to redirect
  int32_t other_fd;  // kSameAs: the descriptor it becomes a copy of
  const char* text;  // kWord: unquoted, in the arena; kError: what is wrong
};

class Lexer {
 public:
  // `text` and `arena` outlive the lexer.
  Lexer(const char* text, Arena* arena) : cursor_(text), arena_(arena) {}

  // The next token; kEnd for ever at the end.
  Token next();

 private:
  Token read_operator();
  Token read_output(int32_t fd);
  Token read_word();
  const char* read_quoted(char** to);

  const char* cursor_;
  Arena* arena_;
};

}  // namespace sh
