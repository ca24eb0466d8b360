// A disk image that goes away with the test.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace twofold::testing {

class TempDisk {
 public:
  // `bytes` of zeros.
  explicit TempDisk(uint64_t bytes) : path_(std::filesystem::temp_directory_path() / "twofold-disk-XXXXXX") {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) std::abort();
    ::close(fd);
  }
  TempDisk(const TempDisk&) = delete;
  TempDisk& operator=(const TempDisk&) = delete;
  ~TempDisk() { ::unlink(path_.c_str()); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void set_content(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

 private:
  std::string path_;
};

}  // namespace twofold::testing
