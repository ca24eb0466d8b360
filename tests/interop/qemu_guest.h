// Our guest on QEMU's microvm, with a swap disk: what the interop tests share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace twofold::test {

using namespace std::chrono_literals;

inline constexpr auto kLimit = 200s;
inline constexpr int kPassed = 33;

// A swap disk in a file, and QEMU's description of it.
class SwapDisk {
 public:
  static constexpr uint64_t kBytes = 64 << 20;
  static constexpr uint32_t kSectorsPerPage = 8;

  SwapDisk() {
    std::string pattern = (std::filesystem::temp_directory_path() / "twofold-interop-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed on " + pattern);
    root_ = pattern;
    std::ofstream{image()};
    std::filesystem::resize_file(image(), kBytes);
  }
  SwapDisk(const SwapDisk&) = delete;
  SwapDisk& operator=(const SwapDisk&) = delete;
  ~SwapDisk() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  // Fails each request of a kind, "read" or "write", that touches the first sector of a page of the disk; or all
  // requests of the kind.
  void fail(const std::string& kind, uint32_t page) {
    inject(kind, "sector = \"" + std::to_string(page * kSectorsPerPage) + "\"\n");
  }
  void fail_all(const std::string& kind) { inject(kind, ""); }

  // A path of its own beside it, that goes away with it.
  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/" + name; }

  [[nodiscard]] std::string drive() const {
    const std::string errors = std::filesystem::exists(root_ + "/errors") ? root_ + "/errors" : "";
    const std::string file = errors.empty() ? image() : "blkdebug:" + errors + ":" + image();
    return "if=none,id=swap,format=raw,werror=report,rerror=report,file=" + file;
  }

 private:
  void inject(const std::string& kind, const std::string& where) {
    constexpr const char* kIoError = "5";
    std::ofstream(root_ + "/errors", std::ios::app) << "[inject-error]\nevent = \"none\"\niotype = \"" << kind
                                                    << "\"\nerrno = \"" << kIoError << "\"\nonce = \"off\"\n"
                                                    << where;
  }
  [[nodiscard]] std::string image() const { return root_ + "/swap"; }

  std::string root_;
};

// argv of QEMU with our guest of `memory`, that disk, and the words of `append`.
inline std::vector<std::string> qemu_command(const SwapDisk& disk, const std::string& memory,
                                             const std::string& append) {
  const std::string build = TWOFOLD_BUILD_DIR;
  return {"/usr/bin/qemu-system-x86_64",
          "-M",
          "microvm,acpi=off",
          "-global",
          "virtio-mmio.force-legacy=false",
          "-m",
          memory,
          "-nographic",
          "-no-reboot",
          "-kernel",
          build + "/guest/twofold-guest.elf",
          "-initrd",
          build + "/guest/initrd.cpio",
          "-append",
          "swap=vda " + append,
          "-device",
          "isa-debug-exit,iobase=0xf4,iosize=0x04",
          "-drive",
          disk.drive(),
          "-device",
          "virtio-blk-device,drive=swap"};
}

}  // namespace twofold::test
