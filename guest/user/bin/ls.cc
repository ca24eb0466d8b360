// ls [PATH…]: type, size in bytes and name of each entry; without a path, of the root directory.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/syscall.h"

namespace {

void print_entry(uint32_t type, uint32_t size, const char* name) {
  char letter = '?';
  if (type == guest_abi::kFileRegular) letter = '-';
  if (type == guest_abi::kFileDirectory) letter = 'd';
  if (type == guest_abi::kFileDevice) letter = 'c';
  if (type == guest_abi::kFilePipe) letter = 'p';
  ulib::print("%c %8u  %s%s\n", letter, size, name, type == guest_abi::kFileDirectory ? "/" : "");
}

bool complain(const char* path, int32_t error) {
  ulib::print_to(ulib::kStderr, "ls: %s: %s\n", path, ulib::error_text(error));
  return false;
}

bool list_directory(int32_t fd, const char* path) {
  guest_abi::Dirent entries[8];
  for (;;) {
    const int32_t got = ulib::read(fd, entries, sizeof(entries));
    if (got == 0) return true;
    if (got < 0) return complain(path, got);
    for (uint32_t i = 0; i < static_cast<uint32_t>(got) / sizeof(entries[0]); ++i) {
      print_entry(entries[i].type, entries[i].size, entries[i].name);
    }
  }
}

bool list(const char* path) {
  const int32_t fd = ulib::open(path, guest_abi::kOpenRead);
  if (fd < 0) return complain(path, fd);
  guest_abi::Stat stat = {};
  const int32_t result = ulib::fstat(fd, &stat);
  bool listed = true;
  if (result < 0) {
    listed = complain(path, result);
  } else if (stat.type == guest_abi::kFileDirectory) {
    listed = list_directory(fd, path);
  } else {
    print_entry(stat.type, stat.size, path);
  }
  ulib::close(fd);
  return listed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return list("/") ? 0 : 1;
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    if (argc > 2) ulib::print("%s:\n", argv[i]);
    if (!list(argv[i])) status = 1;
  }
  return status;
}
