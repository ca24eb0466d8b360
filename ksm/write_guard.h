// Blocks writers to some pages for a moment: userfaultfd's write protection in its synchronous form
// (Documentation/admin-guide/mm/userfaultfd.rst).
//
// A writer that goes through the page tables, be it this process, a vCPU through KVM or the kernel that copies on a
// system call's behalf, sleeps on its fault until it is woken; then it tries again, and meets whatever has been mapped
// there meanwhile. Nobody reads the descriptor's messages: that a thread waits is no secret, and nothing has to be done
// for it but to let it go. A writer that has looked its pages up before and writes to them directly is not stopped:
// O_DIRECT, io_uring with fixed buffers, vhost, process_vm_writev with many pages at once. None of these may write to
// what is merged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "ksm/descriptor.h"

namespace ksm {

// Thread safety: all of it; the kernel's.
class WriteGuard {
 public:
  // Errors, as a sentence: the kernel is too old (before 6.4), or does not let this process block the kernel's own
  // writes, which needs CAP_SYS_PTRACE, vm.unprivileged_userfaultfd=1 or access to /dev/userfaultfd.
  static std::optional<WriteGuard> open(std::string* error);

  // Prepares a range, which any mmap over a part of it undoes for that part. False if the kernel refuses.
  [[nodiscard]] bool watch(std::byte* begin, size_t bytes) const;

  // From here on nobody writes there, touched before or not. False if a part is not watched: then the first part may be
  // protected already. REQUIRES: whoever calls this calls release() for the same range, or pages stay blocked
  [[nodiscard]] bool protect(std::byte* begin, size_t bytes) const;

  // Lets everybody write again, whatever of the range is still protected or watched, and wakes who waits. `replaced`:
  // nothing in the range was left as it was, so that there is no protection to lift.
  void release(std::byte* begin, size_t bytes, bool replaced) const;

 private:
  explicit WriteGuard(Descriptor fd) : fd_(std::move(fd)) {}
  [[nodiscard]] bool change(std::byte* begin, size_t bytes, uint64_t mode) const;

  Descriptor fd_;
};

}  // namespace ksm
