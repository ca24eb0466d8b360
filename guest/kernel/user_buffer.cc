#include "guest/kernel/user_buffer.h"

#include "guest/kernel/string.h"

namespace twofold::kernel {

int32_t UserBuffer::next_piece(uint8_t** bytes, uint32_t* count) {
  const FaultResult result = space_.resolve(address_, access_, bytes);
  if (result == FaultResult::kNoMemory) return -guest_abi::kENomem;
  if (result == FaultResult::kIoError || result == FaultResult::kKilled) return -guest_abi::kEIo;
  if (result != FaultResult::kServed) return -guest_abi::kEFault;
  *count = min(size_, kPageSize - address_ % kPageSize);
  return 0;
}

int32_t UserBuffer::copy_out(const void* from, uint32_t count) {
  const auto* source = static_cast<const uint8_t*>(from);
  while (count > 0) {
    uint8_t* piece;
    uint32_t size;
    if (const int32_t error = next_piece(&piece, &size); error != 0) return error;
    size = min(size, count);
    memcpy(piece, source, size);
    source += size;
    count -= size;
    consume(size);
  }
  return 0;
}

int32_t copy_to_user(AddressSpace& space, UserAddr to, const void* from, uint32_t count) {
  return UserBuffer(space, to, count, Access::kWrite).copy_out(from, count);
}

int32_t copy_from_user(AddressSpace& space, void* to, UserAddr from, uint32_t count) {
  UserBuffer buffer(space, from, count, Access::kRead);
  auto* target = static_cast<uint8_t*>(to);
  while (buffer.remaining() > 0) {
    uint8_t* piece;
    uint32_t size;
    if (const int32_t error = buffer.next_piece(&piece, &size); error != 0) return error;
    memcpy(target, piece, size);
    target += size;
    buffer.consume(size);
  }
  return 0;
}

int32_t copy_string_from_user(AddressSpace& space, char* to, UserAddr from, uint32_t size, int32_t too_long) {
  UserBuffer buffer(space, from, size, Access::kRead);
  uint32_t length = 0;
  while (buffer.remaining() > 0) {
    uint8_t* piece;
    uint32_t count;
    if (const int32_t error = buffer.next_piece(&piece, &count); error != 0) return error;
    for (uint32_t i = 0; i < count; ++i) {
      to[length] = static_cast<char>(piece[i]);
      if (to[length] == '\0') return static_cast<int32_t>(length);
      ++length;
    }
    buffer.consume(count);
  }
  return too_long;
}

}  // namespace twofold::kernel
