// What a kernel file asks for: which protocol starts it, which of its bytes go where, and where it is entered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"
#include "vmm/boot/boot_file.h"
#include "vmm/boot/load.h"
#include "vmm/boot/placement.h"

namespace twofold {

// `file_bytes` of the file from `offset` go to the start of `range`; the rest of `range` is zero.
struct KernelSegment {
  std::string name;  // for error texts: "segment 1"
  uint64_t offset = 0;
  uint64_t file_bytes = 0;
  GpaRange range;
};

struct KernelPlan {
  BootProtocol protocol = BootProtocol::kPvh;
  std::vector<KernelSegment> segments;
  uint32_t entry = 0;  // physical, inside one of the segments
  std::optional<Gpa> inspect_table;
};

// PVH where the kernel has its note; else Multiboot, by its address fields if it has them (the specification gives them
// precedence over the ELF headers), else by its ELF headers. Errors: neither, or whatever is wrong with the file.
// Nothing is checked against guest RAM here.
Result<KernelPlan> plan_kernel(const BootFile& file);

}  // namespace twofold
