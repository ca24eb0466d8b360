#include "guest/kernel/cmdline.h"

#include "guest/kernel/paging.h"
#include "guest/kernel/string.h"

namespace twofold::kernel::cmdline {
namespace {

constinit char line[4096]{};
uint32_t line_length = 0;

bool is_blank(char character) {
  return character == ' ' || character == '\t' || character == '\n';
}

// The end of the run from `position` to the next blank outside quotes.
uint32_t word_end(uint32_t position) {
  bool quoted = false;
  while (position < line_length && (quoted || !is_blank(line[position]))) {
    if (line[position] == '"') quoted = !quoted;
    ++position;
  }
  return position;
}

}  // namespace

void init(uint64_t address) {
  if (address == 0) return;
  while (line_length + 1 < sizeof(line)) {
    // Piece by piece: the line may end just before memory does.
    const uint32_t piece = min(static_cast<uint32_t>(sizeof(line)) - 1 - line_length, 64u);
    paging::phys_copy(line + line_length, address + line_length, piece);
    for (uint32_t i = 0; i < piece; ++i, ++line_length) {
      if (line[line_length] == '\0') return;
    }
  }
  line[line_length] = '\0';
}

const char* text() {
  return line;
}
uint32_t length() {
  return line_length;
}

bool next(uint32_t* position, Option* option) {
  uint32_t start = *position;
  while (start < line_length && is_blank(line[start])) ++start;
  const uint32_t end = word_end(start);
  *position = end;
  if (start == end) return false;

  uint32_t equals = start;
  while (equals < end && line[equals] != '=') ++equals;
  *option = {line + start, equals - start, nullptr, 0};
  if (equals == end) return true;
  uint32_t value = equals + 1;
  uint32_t value_end = end;
  if (value_end - value >= 2 && line[value] == '"' && line[value_end - 1] == '"') {
    ++value;
    --value_end;
  }
  option->value = line + value;
  option->value_length = value_end - value;
  return true;
}

bool find(const char* name, Option* option) {
  uint32_t position = 0;
  while (next(&position, option)) {
    if (equals_span(name, option->name, option->name_length)) return true;
  }
  return false;
}

}  // namespace twofold::kernel::cmdline
