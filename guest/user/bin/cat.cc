// cat [FILE…]: copies files, or standard input, to standard output.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/syscall.h"

namespace {

bool copy_out(int32_t fd, const char* name) {
  char buffer[1024];
  for (;;) {
    const int32_t got = ulib::read(fd, buffer, sizeof(buffer));
    if (got == 0) return true;
    if (got < 0) {
      ulib::print_to(ulib::kStderr, "cat: %s: %s\n", name, ulib::error_text(got));
      return false;
    }
    const int32_t result = ulib::write_all(ulib::kStdout, buffer, static_cast<uint32_t>(got));
    if (result < 0) ulib::die("cat: standard output: %s", ulib::error_text(result));
  }
}

bool copy_file(const char* path) {
  const int32_t fd = ulib::open(path, guest_abi::kOpenRead);
  if (fd < 0) {
    ulib::print_to(ulib::kStderr, "cat: %s: %s\n", path, ulib::error_text(fd));
    return false;
  }
  guest_abi::Stat stat = {};
  const bool directory = ulib::fstat(fd, &stat) == 0 && stat.type == guest_abi::kFileDirectory;
  if (directory) ulib::print_to(ulib::kStderr, "cat: %s: is a directory\n", path);
  const bool copied = !directory && copy_out(fd, path);
  ulib::close(fd);
  return copied;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return copy_out(ulib::kStdin, "standard input") ? 0 : 1;
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    if (!copy_file(argv[i])) status = 1;
  }
  return status;
}
