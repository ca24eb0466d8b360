// A raw disk image: a file or a block device, locked for as long as it is open.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

inline constexpr uint64_t kSectorBytes = 512;

// Reads and writes go through the page cache (never O_DIRECT: a transfer past the page tables would write past a
// write-protected guest page). Positions and lengths are bytes; callers keep them within bytes().
//
// The lock is flock(2)'s: exclusive for a writer, shared for readers. Two VMs never write one image, nor does one write
// what another reads.
//
// Thread safety: all of it, as pread and pwrite are.
class DiskImage {
 public:
  enum class Access { kReadWrite, kReadOnly };

  // Errors: cannot open; neither a file nor a block device; empty; size not a multiple of 512; in use by another.
  static Result<DiskImage> open(const std::string& path, Access access);

  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] uint64_t sectors() const { return bytes_ / kSectorBytes; }
  [[nodiscard]] bool read_only() const { return access_ == Access::kReadOnly; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Fill or write out all of `buffers` (consumed in the going). Returns how many bytes were moved: fewer than all only
  // after an error, or at an end that came early because somebody cut the file. `durable`: on the medium before it
  // returns.
  [[nodiscard]] uint64_t read(std::span<iovec> buffers, uint64_t offset) const;
  [[nodiscard]] uint64_t write(std::span<iovec> buffers, uint64_t offset, bool durable) const;
  // All that was written is on the medium. False on an error.
  [[nodiscard]] bool flush() const;

 private:
  DiskImage(UniqueFd fd, uint64_t bytes, Access access, std::string path);

  UniqueFd fd_;
  uint64_t bytes_;
  Access access_;
  std::string path_;
};

}  // namespace twofold
