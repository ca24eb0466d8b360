// open, read, write, close, dup, fstat: regular files, directories and the console.
#include "guest/user/ulib/file.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

constexpr char kMotd[] = "/etc/motd";

void open_errors() {
  CHECK_EQ(open("/no-such-file", kOpenRead), -kENoent);
  CHECK_EQ(open("/no-such-folder/file", kOpenRead), -kENoent);
  CHECK_EQ(open("/no-such-file", kOpenWrite), -kENoent);
  CHECK_EQ(open("", kOpenRead), -kENoent);
  CHECK_EQ(open("/init/below", kOpenRead), -kENotdir);
  CHECK_EQ(open("/etc/motd/", kOpenRead), -kENotdir);
  CHECK_EQ(open(kMotd, 3), -kEInval);
  CHECK_EQ(open(kMotd, 0x80000000), -kEInval);
  CHECK_EQ(open(kMotd, kOpenWrite), -kERofs);
  CHECK_EQ(open(kMotd, kOpenReadWrite), -kERofs);
  CHECK_EQ(open("/etc", kOpenWrite), -kEIsdir);
  CHECK_EQ(open("/", kOpenReadWrite), -kEIsdir);
}

void open_long_paths() {
  char path[kMaxPath + 64];
  memset(path, 'x', sizeof(path));
  path[0] = '/';
  path[sizeof(path) - 1] = '\0';
  CHECK_EQ(open(path, kOpenRead), -kENoent);
  path[kMaxPath - 1] = '\0';
  CHECK_EQ(open(path, kOpenRead), -kENoent);
  // The longest path that counts, and it leads to a file: slashes may repeat.
  memset(path, '/', sizeof(path));
  copy(path + kMaxPath - 9, 9, "etc/motd");
  const int32_t fd = open(path, kOpenRead);
  CHECK(fd >= 0);
  CHECK_EQ(close(fd), 0);
}

void open_takes_lowest_descriptor() {
  const int32_t first = open(kMotd, kOpenRead);
  const int32_t second = open(kMotd, kOpenRead);
  CHECK(first >= 0);
  CHECK_EQ(second, first + 1);
  CHECK_EQ(close(first), 0);
  CHECK_EQ(open("/etc", kOpenRead), first);
  CHECK_EQ(close(second), 0);
  CHECK_EQ(dup(first), second);
}

void bad_descriptors() {
  char byte = 0;
  Stat stat = {};
  const int32_t bad[] = {-1, 3, static_cast<int32_t>(kMaxFiles), 0x7fffffff, INT32_MIN};
  CHECK_EQ(count_open_files(), 3);
  for (const int32_t fd : bad) {
    CHECK_EQ(read(fd, &byte, 1), -kEBadf);
    CHECK_EQ(write(fd, &byte, 1), -kEBadf);
    CHECK_EQ(close(fd), -kEBadf);
    CHECK_EQ(dup(fd), -kEBadf);
    CHECK_EQ(fstat(fd, &stat), -kEBadf);
  }
  const int32_t fd = open(kMotd, kOpenRead);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(close(fd), -kEBadf);
  CHECK_EQ(read(fd, &byte, 1), -kEBadf);
}

void descriptors_run_out() {
  int32_t opened = 0;
  int32_t fd;
  while ((fd = open(kMotd, kOpenRead)) >= 0) ++opened;
  CHECK_EQ(fd, -kEMfile);
  CHECK_EQ(opened, kMaxFiles - 3);
  CHECK_EQ(dup(0), -kEMfile);
  int32_t fds[2] = {-1, -1};
  CHECK_EQ(pipe(fds), -kEMfile);
  CHECK_EQ(close(7), 0);
  CHECK_EQ(pipe(fds), -kEMfile);  // one is not enough, and must not be lost
  CHECK_EQ(dup(0), 7);
  CHECK_EQ(close(7), 0);
  CHECK_EQ(close(8), 0);
  CHECK_EQ(pipe(fds), 0);
}

void read_in_pieces() {
  char whole[512] = {};
  const int32_t fd = open(kMotd, kOpenRead);
  const int32_t size = read(fd, whole, sizeof(whole));
  CHECK(size > 16 && size < static_cast<int32_t>(sizeof(whole)));
  CHECK_EQ(read(fd, whole, 1), 0);
  CHECK_EQ(read(fd, whole, sizeof(whole)), 0);
  CHECK_EQ(close(fd), 0);

  const int32_t again = open(kMotd, kOpenRead);
  for (int32_t i = 0; i < size; ++i) {
    char byte = 0;
    CHECK_EQ(read(again, &byte, 1), 1);
    CHECK_EQ(byte, whole[i]);
  }
  char byte = 'x';
  CHECK_EQ(read(again, &byte, 1), 0);
  CHECK_EQ(byte, 'x');
}

void read_nothing() {
  const int32_t fd = open(kMotd, kOpenRead);
  char first = 0;
  CHECK_EQ(read(fd, &first, 0), 0);
  CHECK_EQ(read(fd, nullptr, 0), 0);
  CHECK_EQ(read(fd, &first, 1), 1);
  char again = 0;
  const int32_t other = open(kMotd, kOpenRead);
  CHECK_EQ(read(other, &again, 1), 1);
  CHECK_EQ(first, again);
}

void read_whole_program() {
  const int32_t fd = open("/bin/usertests", kOpenRead);
  Stat stat = {};
  CHECK_EQ(fstat(fd, &stat), 0);
  CHECK_EQ(stat.type, kFileRegular);
  CHECK(stat.size > 20000);
  auto* image = reserve_pages((stat.size + kPageSize) / kPageSize);
  CHECK_EQ(read_all(fd, image, stat.size + 1), stat.size);
  CHECK_EQ(memcmp(image, "\177ELF", 4), 0);
  // The start of the file is mapped here, at the page that the program's first segment lies in.
  CHECK_EQ(memcmp(image + kPageSize, reinterpret_cast<const void*>(kUserTextBase), kPageSize), 0);
}

void files_are_read_only() {
  const int32_t fd = open(kMotd, kOpenRead);
  CHECK_EQ(write(fd, "x", 1), -kEBadf);
  const int32_t folder = open("/etc", kOpenRead);
  CHECK_EQ(write(folder, "x", 1), -kEBadf);
}

// Whether a directory's entry `name` is of that type.
bool lists(const char* path, const char* name, uint32_t type) {
  const int32_t fd = open(path, kOpenRead);
  CHECK(fd >= 0);
  Dirent entry = {};
  int32_t got;
  bool found = false;
  while ((got = read(fd, &entry, sizeof(entry))) == static_cast<int32_t>(sizeof(entry))) {
    entry.name[sizeof(entry.name) - 1] = '\0';
    found = found || (equal(entry.name, name) && entry.type == type);
  }
  CHECK_EQ(got, 0);
  CHECK_EQ(close(fd), 0);
  return found;
}

void directories() {
  CHECK(lists("/", "init", kFileRegular));
  CHECK(lists("/", "bin", kFileDirectory));
  CHECK(lists("/", "etc", kFileDirectory));
  CHECK(lists("/", "dev", kFileDirectory));
  CHECK(lists("/bin", "usertests", kFileRegular));
  CHECK(lists("/bin/", "sh", kFileRegular));
  CHECK(lists("/etc/tests", "good", kFileRegular));
  CHECK(lists("/dev", "console", kFileDevice));
  CHECK(!lists("/", "sh", kFileRegular));
}

void directories_in_whole_entries() {
  const int32_t fd = open("/bin", kOpenRead);
  Dirent entries[3];
  Dirent first = {};
  CHECK_EQ(read(fd, entries, sizeof(Dirent) - 1), -kEInval);
  CHECK_EQ(read(fd, entries, 1), -kEInval);
  CHECK_EQ(read(fd, entries, 2 * sizeof(Dirent) + 7), 2 * sizeof(Dirent));
  CHECK_EQ(read(fd, entries + 2, sizeof(Dirent)), sizeof(Dirent));
  CHECK(!equal(entries[0].name, entries[1].name) && !equal(entries[1].name, entries[2].name));
  const int32_t again = open("/bin", kOpenRead);
  CHECK_EQ(read(again, &first, sizeof(first)), sizeof(first));
  CHECK_TEXT(first.name, entries[0].name);
}

void dup_shares_the_offset() {
  char a = 0;
  char b = 0;
  const int32_t fd = open("/bin/echo", kOpenRead);
  const int32_t same = dup(fd);
  const int32_t other = open("/bin/echo", kOpenRead);
  CHECK_EQ(read(fd, &a, 1), 1);
  CHECK_EQ(a, '\177');
  CHECK_EQ(read(same, &b, 1), 1);
  CHECK_EQ(b, 'E');
  CHECK_EQ(read(other, &b, 1), 1);
  CHECK_EQ(b, '\177');
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(read(same, &b, 1), 1);
  CHECK_EQ(b, 'L');
  CHECK_CHILD(CHECK_EQ(read(same, &b, 1), 1));
  CHECK_EQ(read(same, &a, 1), 1);
  CHECK_EQ(a, 1);  // past the F that the child read: EI_CLASS
}

void stat_of_each_type() {
  Stat file = {};
  Stat folder = {};
  Stat end = {};
  Stat console = {};
  CHECK_EQ(fstat(open(kMotd, kOpenRead), &file), 0);
  CHECK_EQ(file.type, kFileRegular);
  CHECK(file.size > 0);
  CHECK_EQ(fstat(open("/etc", kOpenRead), &folder), 0);
  CHECK_EQ(folder.type, kFileDirectory);
  CHECK(folder.ino != file.ino);
  const Pipe pipe = make_pipe();
  CHECK_EQ(fstat(pipe.reader, &end), 0);
  CHECK_EQ(end.type, kFilePipe);
  CHECK_EQ(fstat(open("/dev/console", kOpenRead), &console), 0);
  CHECK_EQ(console.type, kFileDevice);
}

void console_directions() {
  char byte = 0;
  const int32_t input = open("/dev/console", kOpenRead);
  const int32_t output = open("/dev/console", kOpenWrite);
  CHECK_EQ(write(input, "x", 1), -kEBadf);
  CHECK_EQ(read(output, &byte, 1), -kEBadf);
  CHECK_EQ(write(output, "x", 0), 0);
  CHECK_EQ(write(output, "", 0), 0);
}

const Case kCases[] = {
    {"open_errors", open_errors},
    {"open_long_paths", open_long_paths},
    {"open_takes_lowest_descriptor", open_takes_lowest_descriptor},
    {"bad_descriptors", bad_descriptors},
    {"descriptors_run_out", descriptors_run_out},
    {"read_in_pieces", read_in_pieces},
    {"read_nothing", read_nothing},
    {"read_whole_program", read_whole_program},
    {"files_are_read_only", files_are_read_only},
    {"directories", directories},
    {"directories_in_whole_entries", directories_in_whole_entries},
    {"dup_shares_the_offset", dup_shares_the_offset},
    {"stat_of_each_type", stat_of_each_type},
    {"console_directions", console_directions},
};

}  // namespace

Section files_section() {
  return section("files", kCases);
}

}  // namespace usertests
