#include "vmm/boot/boot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace twofold {

Result<BootFile> BootFile::open(std::string what, const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer; on regular files it does nothing.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    const char* mend = error == ENOENT ? "; check the path" : error == EACCES ? "; make it readable for this user" : "";
    return fail("cannot load {} '{}': cannot open it: {}{}", what, path, errno_text(error), mend);
  }
  return adopt(std::move(what), path, std::move(fd));
}

Result<BootFile> BootFile::adopt(std::string what, const std::string& path, UniqueFd fd) {
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    return fail("cannot load {} '{}': cannot stat it: {}", what, path, errno_text(errno));
  }
  if (S_ISDIR(status.st_mode)) return fail("cannot load {} '{}': it is a directory; name a file in it", what, path);
  if (!S_ISREG(status.st_mode)) {
    return fail("cannot load {} '{}': it is not a regular file; copy its content to one", what, path);
  }
  if (status.st_size <= 0) return fail("cannot load {} '{}': the file is empty; build or copy it again", what, path);
  return BootFile(std::move(what), path, std::move(fd), static_cast<uint64_t>(status.st_size));
}

Status BootFile::read_at(uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t n = ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("{}: reading at offset {} failed: {}", complaint(), offset, errno_text(errno));
    if (n == 0)
      return fail("{}: it ended at offset {} while being read; leave it alone and retry", complaint(), offset);
    to = to.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

}  // namespace twofold
