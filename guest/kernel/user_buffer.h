// The kernel's access to a process's memory: bounds, presence and write permission of every page are checked
// first, and missing pages are served as if the process had touched them. Nothing a program passes can fault here.
#pragma once

#include <stdint.h>

#include "guest/kernel/address_space.h"

namespace twofold::kernel {

// A range of the current process's memory that file operations read or fill piece by piece.
class UserBuffer {
 public:
  UserBuffer(AddressSpace& space, UserAddr address, uint32_t size, Access access)
      : space_(space), address_(address), size_(size), access_(access) {}

  [[nodiscard]] uint32_t remaining() const { return size_; }

  // The next bytes, up to the end of their page, in the direct map: *count of them. Returns 0, or a negated Errno
  // if the program may not access them. Good until the process next sleeps. REQUIRES: remaining() > 0
  [[nodiscard]] int32_t next_piece(uint8_t** bytes, uint32_t* count);

  // Copies `count` bytes in and moves on. Returns 0 or a negated Errno. REQUIRES: count <= remaining()
  [[nodiscard]] int32_t copy_out(const void* from, uint32_t count);

  // Moves on by `count` bytes of the last piece.
  void consume(uint32_t count) {
    address_ += count;
    size_ -= count;
  }

 private:
  AddressSpace& space_;
  UserAddr address_;
  uint32_t size_;
  Access access_;
};

// These return 0 or a negated Errno; a copy may stop halfway.
[[nodiscard]] int32_t copy_to_user(AddressSpace& space, UserAddr to, const void* from, uint32_t count);
[[nodiscard]] int32_t copy_from_user(AddressSpace& space, void* to, UserAddr from, uint32_t count);

// Copies a NUL-terminated string of less than `size` bytes. Returns its length, or -kEFault, or `too_long`.
[[nodiscard]] int32_t copy_string_from_user(AddressSpace& space, char* to, UserAddr from, uint32_t size,
                                            int32_t too_long);

}  // namespace twofold::kernel
