// The root file system: read-only, in memory, from a newc cpio archive, plus the built-in devices under /dev.
//
// Immutable after init(). Names and contents stay where the archive has them.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"

namespace twofold::kernel {

struct Device;

struct Node {
  const char* name;  // not NUL-terminated
  uint32_t name_length;
  guest_abi::FileType type;
  uint32_t ino;
  const uint8_t* data;  // regular files
  uint32_t size;
  const Device* device;
  Node* parent;  // the root's is itself
  Node* first_child;
  Node* next_sibling;
};

namespace initrd {

// Reads the archive (newc, format of cpio(5)). What is broken is reported, and ends the reading.
void init(const uint8_t* archive, uint32_t size);

// Adds /dev/NAME.
void add_device(const Device& device);

// Finds a path; relative ones start at the root. Returns 0, -kENoent or -kENotdir.
int32_t look_up(const char* path, const Node** node);

}  // namespace initrd
}  // namespace twofold::kernel
