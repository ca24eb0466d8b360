#include "guest/kernel/pipe.h"

#include "guest/abi/abi.h"
#include "guest/kernel/file.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/user_buffer.h"

namespace twofold::kernel {
namespace {

File* open_end(Pipe* pipe, bool write_end) {
  File* const file = allocate_file();
  if (file == nullptr) return nullptr;
  file->type = guest_abi::kFilePipe;
  file->readable = !write_end;
  file->writable = write_end;
  file->pipe = pipe;
  ++(write_end ? pipe->writers : pipe->readers);
  return file;
}

}  // namespace

int32_t create_pipe(File** read_end, File** write_end) {
  if (!reclaim::make_room(1)) return -guest_abi::kENomem;
  auto* pipe = reinterpret_cast<Pipe*>(frames::allocate(frames::Use::kKernel));
  if (pipe == nullptr) return -guest_abi::kENomem;
  pipe->start = pipe->used = pipe->readers = pipe->writers = 0;
  *read_end = open_end(pipe, false);
  *write_end = *read_end != nullptr ? open_end(pipe, true) : nullptr;
  if (*write_end != nullptr) return 0;
  if (*read_end != nullptr) {
    close_file(*read_end);  // the pipe goes with it
  } else {
    frames::free(to_physical(pipe));
  }
  return -guest_abi::kEMfile;
}

void close_pipe_end(Pipe* pipe, bool write_end) {
  --(write_end ? pipe->writers : pipe->readers);
  wake_up(pipe);
  if (pipe->readers == 0 && pipe->writers == 0) frames::free(to_physical(pipe));
}

int32_t read_pipe(Pipe& pipe, UserBuffer& buffer) {
  if (buffer.remaining() == 0) return 0;
  int32_t total = 0;
  int32_t error = 0;
  // Again if somebody else has emptied it while a page of the buffer was fetched.
  while (total == 0 && error == 0) {
    while (pipe.used == 0) {
      if (pipe.writers == 0) return 0;
      if (!sleep_on(&pipe)) return -guest_abi::kEIo;
    }
    while (error == 0 && pipe.used > 0 && buffer.remaining() > 0) {
      uint8_t* piece;
      uint32_t count;
      if ((error = buffer.next_piece(&piece, &count)) != 0) break;
      count = min(min(count, pipe.used), Pipe::kCapacity - pipe.start);
      memcpy(piece, pipe.ring + pipe.start, count);
      pipe.start = (pipe.start + count) % Pipe::kCapacity;
      pipe.used -= count;
      buffer.consume(count);
      total += static_cast<int32_t>(count);
    }
  }
  if (total == 0) return error;
  wake_up(&pipe);  // after half a read too: there is room
  return total;
}

int32_t write_pipe(Pipe& pipe, UserBuffer& buffer) {
  int32_t total = 0;
  while (buffer.remaining() > 0) {
    if (pipe.readers == 0) return total > 0 ? total : -guest_abi::kEPipe;
    if (pipe.used == Pipe::kCapacity) {
      if (!sleep_on(&pipe)) return total > 0 ? total : -guest_abi::kEIo;
      continue;
    }
    uint8_t* piece;
    uint32_t count;
    if (const int32_t error = buffer.next_piece(&piece, &count); error != 0) return total > 0 ? total : error;
    const uint32_t end = (pipe.start + pipe.used) % Pipe::kCapacity;
    count = min(min(count, Pipe::kCapacity - pipe.used), Pipe::kCapacity - end);
    memcpy(pipe.ring + end, piece, count);
    pipe.used += count;
    buffer.consume(count);
    total += static_cast<int32_t>(count);
    wake_up(&pipe);
  }
  return total;
}

}  // namespace twofold::kernel
