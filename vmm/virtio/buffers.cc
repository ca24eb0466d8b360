#include "vmm/virtio/buffers.h"

#include <algorithm>
#include <cstring>

namespace twofold {

namespace {

// Calls visit(pointer, length, position) for each piece of [skip, skip + length) of the run, where position counts from
// `skip`. Returns how many bytes there were.
template <typename Visit>
uint64_t for_each_piece(std::span<const iovec> buffers, uint64_t skip, uint64_t length, Visit visit) {
  uint64_t done = 0;
  for (const iovec& buffer : buffers) {
    if (done == length) break;
    if (skip >= buffer.iov_len) {
      skip -= buffer.iov_len;
      continue;
    }
    const uint64_t piece = std::min<uint64_t>(buffer.iov_len - skip, length - done);
    visit(static_cast<std::byte*>(buffer.iov_base) + skip, piece, done);
    skip = 0;
    done += piece;
  }
  return done;
}

}  // namespace

uint64_t total_bytes(std::span<const iovec> buffers) {
  uint64_t bytes = 0;
  for (const iovec& buffer : buffers) bytes += buffer.iov_len;
  return bytes;
}

size_t copy_from(std::span<const iovec> buffers, uint64_t skip, std::span<std::byte> into) {
  return for_each_piece(buffers, skip, into.size(), [&](const std::byte* bytes, size_t length, size_t at) {
    std::memcpy(into.data() + at, bytes, length);
  });
}

size_t copy_to(std::span<const iovec> buffers, uint64_t skip, std::span<const std::byte> from) {
  return for_each_piece(buffers, skip, from.size(), [&](std::byte* bytes, size_t length, size_t at) {
    std::memcpy(bytes, from.data() + at, length);
  });
}

void slice(std::span<const iovec> buffers, uint64_t skip, uint64_t length, std::vector<iovec>& out) {
  out.clear();
  for_each_piece(buffers, skip, length, [&](std::byte* bytes, size_t piece, size_t /*at*/) {
    out.push_back({bytes, piece});
  });
}

}  // namespace twofold
