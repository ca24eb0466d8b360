#include "guest/user/sh/lexer.h"

#include "guest/user/ulib/string.h"

namespace sh {
namespace {

bool is_blank(char character) {
  return character == ' ' || character == '\t' || character == '\r';
}

bool ends_word(char character) {
  return is_blank(character) || ulib::find("|&;<>\n", character) != nullptr;
}

constexpr Token make(TokenKind kind) {
  return Token{kind, 0, 0, nullptr};
}
constexpr Token fail(const char* message) {
  return Token{TokenKind::kError, 0, 0, message};
}

}  // namespace

Token Lexer::next() {
  while (is_blank(*cursor_)) ++cursor_;
  if (*cursor_ == '#') {
    while (*cursor_ != '\0' && *cursor_ != '\n') ++cursor_;
  }
  if (*cursor_ == '\0') return make(TokenKind::kEnd);
  if (cursor_[0] == '2' && cursor_[1] == '>') {
    ++cursor_;
    return read_output(2);
  }
  return ends_word(*cursor_) ? read_operator() : read_word();
}

Token Lexer::read_operator() {
  const char first = *cursor_;
  if (first == '>') return read_output(1);
  ++cursor_;
  const bool doubled = *cursor_ == first;
  switch (first) {
    case '|':
      if (!doubled) return make(TokenKind::kPipe);
      ++cursor_;
      return make(TokenKind::kOr);
    case '&':
      if (!doubled) return make(TokenKind::kBackground);
      ++cursor_;
      return make(TokenKind::kAnd);
    case '<':
      return make(TokenKind::kReadFrom);
    default:  // ; or a newline
      return make(TokenKind::kSemicolon);
  }
}

// At a '>' that redirects `fd`.
Token Lexer::read_output(int32_t fd) {
  ++cursor_;
  if (*cursor_ == '>') return fail("there is no >>: no file can grow here");
  if (*cursor_ != '&') return Token{TokenKind::kWriteTo, fd, 0, nullptr};
  ++cursor_;
  if (*cursor_ < '0' || *cursor_ > '2') return fail(">& wants 0, 1 or 2");
  const int32_t other = *cursor_ - '0';
  ++cursor_;
  return Token{TokenKind::kSameAs, fd, other, nullptr};
}

// At an opening quote: appends what it encloses to `*to` and steps over the closing one. Returns an error or null.
const char* Lexer::read_quoted(char** to) {
  const char quote = *cursor_++;
  while (*cursor_ != quote) {
    if (*cursor_ == '\0') return quote == '"' ? "missing closing \"" : "missing closing '";
    if (quote == '"' && cursor_[0] == '\\' && (cursor_[1] == '"' || cursor_[1] == '\\' || cursor_[1] == '$')) {
      ++cursor_;
    } else if (quote == '"' && cursor_[0] == '$' && cursor_[1] == '?') {
      *(*to)++ = kStatusMark;
      cursor_ += 2;
      continue;
    }
    *(*to)++ = *cursor_++;
  }
  ++cursor_;
  return nullptr;
}

Token Lexer::read_word() {
  // Unquoting never lengthens a word, so what is left of the line bounds it.
  char* text = static_cast<char*>(arena_->take(ulib::length(cursor_) + 1));
  if (text == nullptr) return fail("out of memory");
  char* to = text;
  while (*cursor_ != '\0' && !ends_word(*cursor_)) {
    if (*cursor_ == kStatusMark) return fail("unprintable character");
    if (*cursor_ == '\'' || *cursor_ == '"') {
      const char* error = read_quoted(&to);
      if (error != nullptr) return fail(error);
    } else if (cursor_[0] == '$' && cursor_[1] == '?') {
      *to++ = kStatusMark;
      cursor_ += 2;
    } else {
      if (cursor_[0] == '\\' && cursor_[1] != '\0') ++cursor_;
      *to++ = *cursor_++;
    }
  }
  return Token{TokenKind::kWord, 0, 0, text};
}

}  // namespace sh
