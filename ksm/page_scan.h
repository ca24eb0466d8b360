// Which frames there is something to merge in: those that are present and private to the process, by the kernel's word
// (ioctl PAGEMAP_SCAN, Documentation/admin-guide/mm/pagemap.rst; Linux 6.7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ksm/descriptor.h"
#include "ksm/frames.h"

namespace ksm {

struct PresentRun {
  Run run;
  bool huge = false;  // in huge pages
};

// For one thread: it keeps the room for the answers.
class PageScan {
 public:
  // Errors, as a sentence: no /proc, or the kernel is too old.
  static std::optional<PageScan> open(std::string* error);

  // The frames of `within`, counted from `memory`, that are anonymous and hold something: no page of a file (so none
  // that is merged), no page in swap, not the kernel's page of zeros. In ascending order; valid until the next call.
  // Empty if the kernel refuses.
  const std::vector<PresentRun>& find(const std::byte* memory, Run within);

 private:
  explicit PageScan(Descriptor pagemap) : pagemap_(std::move(pagemap)) {}

  Descriptor pagemap_;
  std::vector<PresentRun> found_;
};

}  // namespace ksm
