// Open files: what a descriptor stands for.
//
// Thread safety: the big kernel lock. A read or write may sleep, and lets others run between pages.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"

namespace twofold::kernel {

class UserBuffer;
struct Node;
struct Pipe;

// A character device. Both return bytes moved or a negated Errno.
struct Device {
  const char* name;
  int32_t (*read)(UserBuffer& buffer);
  int32_t (*write)(UserBuffer& buffer);
};

struct File {
  uint32_t references;  // 0: the entry is free
  guest_abi::FileType type;
  bool readable;
  bool writable;
  const Node* node;  // regular files, directories, devices
  Pipe* pipe;
  uint32_t offset;  // bytes; shared by all who share the File
};

// A file with one reference; null if too many are open in the whole system.
File* allocate_file();

// Opens a path as `flags` (OpenFlag) say. Returns 0 or a negated Errno.
int32_t open_path(const char* path, uint32_t flags, File** file);

// Drops a reference; the last one closes.
void close_file(File* file);

// These return bytes moved, 0 at the end, or a negated Errno.
int32_t read_file(File& file, UserBuffer& buffer);
int32_t write_file(File& file, UserBuffer& buffer);

void stat_file(const File& file, guest_abi::Stat* stat);

}  // namespace twofold::kernel
