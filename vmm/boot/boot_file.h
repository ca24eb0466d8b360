// A file that the loader reads: the kernel or the initrd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

// An open regular file with its size at the time it was opened. `what` ("kernel", "initrd") begins its error texts.
class BootFile {
 public:
  // Opens `path` for reading. Errors: missing, unreadable, a directory or another thing that is not a regular file,
  // empty.
  static Result<BootFile> open(std::string what, const std::string& path);

  // Takes an open descriptor (a memfd, say) under the name `path`. The same errors but for those of opening.
  static Result<BootFile> adopt(std::string what, const std::string& path, UniqueFd fd);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // Fills `to` from `offset`, straight into place. Errors: read error, or the file became shorter meanwhile.
  [[nodiscard]] Status read_at(uint64_t offset, std::span<std::byte> to) const;

  // "cannot load kernel 'vmlinux'": how every error text about this file begins.
  [[nodiscard]] std::string complaint() const { return fmt::format("cannot load {} '{}'", what_, path_); }

 private:
  BootFile(std::string what, std::string path, UniqueFd fd, uint64_t bytes)
      : what_(std::move(what)), path_(std::move(path)), fd_(std::move(fd)), bytes_(bytes) {}

  std::string what_;
  std::string path_;
  UniqueFd fd_;
  uint64_t bytes_ = 0;
};

}  // namespace twofold
