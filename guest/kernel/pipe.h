// Pipes: a ring in one page, with readers and writers that sleep.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

class UserBuffer;
struct File;

struct Pipe {
  static constexpr uint32_t kCapacity = kPageSize - 16;

  uint32_t start;  // of what is in the ring
  uint32_t used;   // bytes
  uint32_t readers;
  uint32_t writers;  // open ends, not processes
  uint8_t ring[kCapacity];
};
static_assert(sizeof(Pipe) == kPageSize);

// Two new files on a new pipe. Returns 0 or a negated Errno.
int32_t create_pipe(File** read_end, File** write_end);

void close_pipe_end(Pipe* pipe, bool write_end);

// Waits for at least one byte; 0 when it is empty and no writer is left.
int32_t read_pipe(Pipe& pipe, UserBuffer& buffer);

// Waits until all is in the pipe; -kEPipe if no reader is left and nothing was written.
int32_t write_pipe(Pipe& pipe, UserBuffer& buffer);

}  // namespace twofold::kernel
