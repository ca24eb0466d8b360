#include "ksm/write_guard.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "ksm/newer_uapi.h"
#include "ksm/page_hash.h"

namespace ksm {

namespace {

// Of protecting: pages that are not there must be blocked as well, or a first write is lost.
constexpr uint64_t kNeeded = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED;

uffdio_range range_of(std::byte* begin, size_t bytes) {
  return {reinterpret_cast<uint64_t>(begin), bytes};
}

// The system call's own permission, or that of the device node's (6.1 and newer): either reaches kernel-mode faults.
Descriptor open_userfaultfd() {
  Descriptor fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (fd) return fd;
  const int refused = errno;
  const Descriptor device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (!device) {
    errno = refused;
    return {};
  }
  return Descriptor(::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

std::optional<WriteGuard> WriteGuard::open(std::string* error) {
  Descriptor fd = open_userfaultfd();
  if (!fd) {
    *error =
        "cannot open a userfaultfd that blocks the kernel's writes, too: " + std::system_category().message(errno) +
        "; run as root, or set vm.unprivileged_userfaultfd=1";
    return std::nullopt;
  }
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = kNeeded;
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0 || (api.features & kNeeded) != kNeeded) {
    *error = "the kernel's userfaultfd cannot write-protect pages that were never touched (Linux 6.4 can)";
    return std::nullopt;
  }
  return WriteGuard(std::move(fd));
}

bool WriteGuard::watch(std::byte* begin, size_t bytes) const {
  uffdio_register wanted = {};
  wanted.range = range_of(begin, bytes);
  wanted.mode = UFFDIO_REGISTER_MODE_WP;
  return ::ioctl(fd_.get(), UFFDIO_REGISTER, &wanted) == 0;
}

bool WriteGuard::protect(std::byte* begin, size_t bytes) const {
  return change(begin, bytes, UFFDIO_WRITEPROTECT_MODE_WP);
}

bool WriteGuard::change(std::byte* begin, size_t bytes, uint64_t mode) const {
  uffdio_writeprotect wanted = {};
  wanted.range = range_of(begin, bytes);
  wanted.mode = mode;
  int outcome = 0;
  do {
    outcome = ::ioctl(fd_.get(), UFFDIO_WRITEPROTECT, &wanted);
  } while (outcome != 0 && errno == EAGAIN);  // the address space is being changed, by a fork for instance
  return outcome == 0;
}

void WriteGuard::release(std::byte* begin, size_t bytes, bool replaced) const {
  // A range that is not watched in the middle stops the kernel there, with the rest still protected: then page by page.
  if (!replaced && !change(begin, bytes, 0)) {
    for (size_t at = 0; at < bytes; at += kPageBytes) (void)change(begin + at, kPageBytes, 0);
  }
  // Who went to sleep on a page that was then replaced waits for ever unless woken, watched or not.
  uffdio_range range = range_of(begin, bytes);
  (void)::ioctl(fd_.get(), UFFDIO_WAKE, &range);
}

}  // namespace ksm
