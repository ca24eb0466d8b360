// The second dimension, seen from the host: what stands behind a host virtual address of this process.
//
// KVM's own table (EPT or NPT) is not readable from outside. It is filled on the guest's first touch from the host page
// table, which is readable: /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst) says what is shown here.
#pragma once

#include <cstdint>
#include <optional>

#include "vmm/base/fd.h"

namespace twofold {

enum class Backing : uint8_t {
  kUnknown,    // the kernel does not show it
  kNotBacked,  // never touched, or given back: no page yet
  kPresent,
  kSwapped,  // in the host's swap, or being migrated
};

struct HostPage {
  Backing backing = Backing::kUnknown;
  bool file_or_shared = false;  // a page of a file or of shared memory: for guest RAM, a merged page
  bool exclusive = false;       // mapped by this process alone
  bool soft_dirty = false;
  bool write_protected = false;           // by userfaultfd
  bool zero_page = false;                 // the kernel's one page of zeros
  std::optional<uint64_t> pfn;            // host frame number; shown only to CAP_SYS_ADMIN
  std::optional<uint64_t> mapping_bytes;  // how the host maps it: 4 KiB or 2 MiB; none: not shown
};

// What the kernel tells of the page at an address. Real or, in tests, made up.
class PagemapSource {
 public:
  virtual ~PagemapSource() = default;
  // The 64-bit pagemap entry of the page that holds `hva`; none if it cannot be read.
  [[nodiscard]] virtual std::optional<uint64_t> entry(uint64_t hva) const = 0;
  // PAGEMAP_SCAN's categories (PAGE_IS_…) of that page; none on kernels without it (before 6.7).
  [[nodiscard]] virtual std::optional<uint64_t> categories(uint64_t hva) const = 0;
};

// /proc/self/pagemap. Safe in any thread.
class ProcPagemap : public PagemapSource {
 public:
  ProcPagemap();  // where /proc is missing, every answer is "unknown"
  [[nodiscard]] std::optional<uint64_t> entry(uint64_t hva) const override;
  [[nodiscard]] std::optional<uint64_t> categories(uint64_t hva) const override;

 private:
  UniqueFd fd_;
};

// Puts the two answers together. Pure but for `source`.
HostPage inspect_host_page(const PagemapSource& source, uint64_t hva);

}  // namespace twofold
