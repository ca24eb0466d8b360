// From a kernel file to a guest that can start: everything that must be in guest RAM before the first instruction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"
#include "vmm/boot/boot_file.h"
#include "vmm/boot/placement.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

enum class BootProtocol : uint8_t { kPvh, kMultiboot };

// "PVH" or "Multiboot".
const char* to_string(BootProtocol protocol);

struct BootConfig {
  std::string kernel;                 // path
  std::optional<std::string> initrd;  // path; the guest sees it as module 0
  std::string cmdline;                // as the guest shall see it, device announcements included
  uint32_t cpus = 1;                  // 1 to layout::kMaxCpus, told to the guest by the MP tables
};

// How to enter the kernel. Both protocols want the same of the boot CPU: 32-bit protected mode, paging off, flat
// segments, interrupts off.
struct BootState {
  BootProtocol protocol = BootProtocol::kPvh;
  uint32_t eip = 0;
  uint32_t eax = 0;                  // Multiboot's magic, else 0
  uint32_t ebx = 0;                  // GPA of the start info or of the Multiboot info
  std::optional<Gpa> inspect_table;  // where our own guest keeps its process list (guest/abi/abi.h): its word alone
  std::vector<GpaRange> kernel;      // what the kernel's segments fill, ascending
  std::optional<GpaRange> initrd;
};

// Reads the kernel (PVH if it has the note, else Multiboot 1) and the initrd into `memory`, and writes the boot
// information, the command line, the BIOS data area's words and the MP tables.
// REQUIRES: `memory` is as created, all zero, and no vCPU runs: zero-initialised segments are not cleared again.
// Errors name the file, the reason and the mend; `memory` may then hold parts of the kernel.
Result<BootState> load_kernel(const GuestMemory& memory, const BootConfig& config);

// The same for files that are open already. `config.kernel` and `config.initrd` are not opened.
Result<BootState> load_kernel_file(const GuestMemory& memory, const BootFile& kernel, const BootFile* initrd,
                                   const BootConfig& config);

}  // namespace twofold
