// The Multiboot Specification 0.6.96 ("Multiboot 1"): a kernel's header, and the information it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/result.h"
#include "vmm/boot/boot_file.h"
#include "vmm/boot/placement.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

inline constexpr uint32_t kMultibootBootloaderMagic = 0x2badb002;  // EAX at entry
inline constexpr uint64_t kMultibootSearchBytes = 8192;            // §3.1.1: the header lies wholly in these

// Where a flat image goes, for a header with address fields (§3.1.3, flags bit 16).
struct MultibootAddresses {
  uint64_t file_offset = 0;  // of the first byte to load
  uint64_t file_bytes = 0;   // to load; inside the file
  Gpa load;
  uint64_t memory_bytes = 0;  // with the zeroed part behind
  uint32_t entry = 0;
};

struct MultibootHeader {
  uint64_t offset = 0;  // in the file
  uint32_t flags = 0;
  std::optional<MultibootAddresses> addresses;
};

// Looks for a header in the file's first 8 KiB: magic, 4-byte aligned, checksum right. None if there is none.
// Errors: a header that asks for a feature this loader lacks, or whose addresses contradict each other or the file.
Result<std::optional<MultibootHeader>> find_multiboot_header(const BootFile& file);

struct MultibootModule {
  GpaRange range;
  std::string name;
};

// Writes the information structure (§3.3) with its lists at layout::kMultibootInfo. `cmdline` is the GPA of the command
// line, NUL-terminated. Returns the structure's address. Errors: the module's name does not fit the page.
Result<Gpa> write_multiboot_info(const GuestMemory& memory, Gpa cmdline, const std::optional<MultibootModule>& module);

}  // namespace twofold
