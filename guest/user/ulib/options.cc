#include "guest/user/ulib/options.h"

#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace ulib {
namespace {

void print_usage(const Usage& usage, const Option* options, uint32_t count) {
  print("usage: %s%s%s [OPTION]…\n%s\n", usage.program, usage.word != nullptr ? " " : "",
        usage.word != nullptr ? usage.word : "", usage.help);
  for (uint32_t i = 0; i < count; ++i) {
    const Option& option = options[i];
    print("  --%-10s %s; default ", option.name, option.help);
    if (option.choices != nullptr) {
      print("%s\n", option.choices[*option.value]);
    } else {
      print("%u\n", *option.value);
    }
  }
}

[[noreturn]] void refuse(const Usage& usage, const char* what, const char* word) {
  print_to(kStderr, "%s: %s%s; see %s --help\n", usage.program, what, word, usage.program);
  exit(2);
}

bool set(const Option& option, const char* text) {
  if (option.choices == nullptr) return parse_number(text, option.max, option.value);
  for (uint32_t i = 0; option.choices[i] != nullptr; ++i) {
    if (!equal(option.choices[i], text)) continue;
    *option.value = i;
    return true;
  }
  return false;
}

const Option* find_option(const Option* options, uint32_t count, const char* name) {
  for (uint32_t i = 0; i < count; ++i) {
    if (equal(options[i].name, name)) return &options[i];
  }
  return nullptr;
}

}  // namespace

void parse_options(int argc, char** argv, const Usage& usage, const Option* options, uint32_t count) {
  bool has_word = usage.word == nullptr;
  for (int i = 1; i < argc; ++i) {
    if (equal(argv[i], "--help")) {
      print_usage(usage, options, count);
      exit(0);
    }
    if (!starts_with(argv[i], "--")) {
      const bool right = !has_word && parse_number(argv[i], usage.word_max, usage.word_value) && *usage.word_value > 0;
      if (!right) refuse(usage, "cannot make sense of ", argv[i]);
      has_word = true;
      continue;
    }
    const Option* const option = find_option(options, count, argv[i] + 2);
    if (option == nullptr) refuse(usage, "there is no option ", argv[i]);
    if (i + 1 == argc || !set(*option, argv[i + 1])) refuse(usage, "needs another value: ", argv[i]);
    ++i;
  }
  if (!has_word) refuse(usage, "needs ", usage.word);
}

}  // namespace ulib
