#include "vmm/virtio/disk_image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace twofold {

namespace {

Result<uint64_t> size_of(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail("cannot look at disk '{}': {}", path, errno_text(errno));
  uint64_t bytes = 0;
  if (S_ISREG(info.st_mode)) {
    bytes = static_cast<uint64_t>(info.st_size);
  } else if (!S_ISBLK(info.st_mode)) {
    return fail("cannot use '{}' as a disk: it is neither a file nor a block device", path);
  } else if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) {
    return fail("cannot learn the size of disk '{}': {}", path, errno_text(errno));
  }
  if (bytes == 0) return fail("cannot use '{}' as a disk: it is empty; make it with truncate -s SIZE", path);
  if (bytes % kSectorBytes != 0) {
    return fail("cannot use '{}' as a disk: its {} bytes are not a multiple of {}; is it a raw image?", path, bytes,
                kSectorBytes);
  }
  return bytes;
}

// Calls move(buffers, offset) -> ssize_t until all is moved, it fails for good, or moves nothing. Consumes `buffers`.
template <typename Move>
uint64_t move_all(std::span<iovec> buffers, uint64_t offset, Move move) {
  uint64_t done = 0;
  while (!buffers.empty()) {
    const ssize_t n = move(buffers, offset + done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<uint64_t>(n);
    auto left = static_cast<size_t>(n);
    while (!buffers.empty() && left >= buffers.front().iov_len) {
      left -= buffers.front().iov_len;
      buffers = buffers.subspan(1);
    }
    if (left > 0) {
      iovec& front = buffers.front();
      front.iov_base = static_cast<std::byte*>(front.iov_base) + left;
      front.iov_len -= left;
    }
  }
  return done;
}

}  // namespace

Result<DiskImage> DiskImage::open(const std::string& path, Access access) {
  const bool writes = access == Access::kReadWrite;
  // O_NONBLOCK keeps a FIFO given by mistake from holding us here; files and disks ignore it.
  UniqueFd fd(::open(path.c_str(), (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const bool could_read = writes && (errno == EACCES || errno == EROFS || errno == EPERM);
    return fail("cannot open disk '{}' for {}: {}{}", path, writes ? "writing" : "reading", errno_text(errno),
                could_read ? "; read-only is --disk FILE,ro" : "");
  }
  const auto bytes = size_of(fd.get(), path);
  if (!bytes) return pass_on(bytes);
  if (::flock(fd.get(), (writes ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail("cannot lock disk '{}': {}", path, errno_text(errno));
    return fail("cannot use disk '{}': it is in use{}", path,
                writes ? "; readers share a disk that nobody writes: --disk FILE,ro" : " by somebody who writes it");
  }
  return DiskImage(std::move(fd), *bytes, access, path);
}

DiskImage::DiskImage(UniqueFd fd, uint64_t bytes, Access access, std::string path)
    : fd_(std::move(fd)), bytes_(bytes), access_(access), path_(std::move(path)) {}

uint64_t DiskImage::read(std::span<iovec> buffers, uint64_t offset) const {
  return move_all(buffers, offset, [this](std::span<const iovec> to, uint64_t at) {
    return ::preadv(fd_.get(), to.data(), static_cast<int>(to.size()), static_cast<off_t>(at));
  });
}

uint64_t DiskImage::write(std::span<iovec> buffers, uint64_t offset, bool durable) const {
  return move_all(buffers, offset, [this, durable](std::span<const iovec> from, uint64_t at) {
    return ::pwritev2(fd_.get(), from.data(), static_cast<int>(from.size()), static_cast<off_t>(at),
                      durable ? RWF_DSYNC : 0);
  });
}

bool DiskImage::flush() const {
  return ::fdatasync(fd_.get()) == 0;
}

}  // namespace twofold
