// Scattered buffers read as one run of bytes. A driver may cut a request into descriptors wherever it likes
// (virtio 1.2 §2.7.4.1), so nothing may assume that a header is a buffer of its own.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace twofold {

[[nodiscard]] uint64_t total_bytes(std::span<const iovec> buffers);

// Copies from the run's byte `skip` on, as many as there are, at most `into.size()`. Returns how many.
size_t copy_from(std::span<const iovec> buffers, uint64_t skip, std::span<std::byte> into);
// Copies `from` over the run's bytes from `skip` on, as many as there are. Returns how many.
size_t copy_to(std::span<const iovec> buffers, uint64_t skip, std::span<const std::byte> from);

// Replaces `out` by the part [skip, skip + length) of the run, cut at its end. Allocates only if out's capacity is less
// than buffers.size().
void slice(std::span<const iovec> buffers, uint64_t skip, uint64_t length, std::vector<iovec>& out);

}  // namespace twofold
