// echo [-n] [WORD…]: prints its arguments; -n leaves the newline out.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"

namespace {

bool put(const char* text) {
  return ulib::write_all(ulib::kStdout, text, ulib::length(text)) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool newline = argc < 2 || !ulib::equal(argv[1], "-n");
  const int first = newline ? 1 : 2;
  bool written = true;
  for (int i = first; i < argc; ++i) {
    if (i > first) written = put(" ") && written;
    written = put(argv[i]) && written;
  }
  if (newline) written = put("\n") && written;
  return written ? 0 : 1;
}
