// An ELF kernel's headers: what to load where, and what its notes say. Parsed with libelf; nothing is loaded here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"
#include "vmm/boot/boot_file.h"

namespace twofold {

// A PT_LOAD with something in it (System V ABI, "Program Header").
struct ElfSegment {
  size_t number = 0;        // of its program header, as readelf -l counts
  uint64_t offset = 0;      // in the file
  uint64_t file_bytes = 0;  // copied from the file
  Gpa paddr;
  uint64_t vaddr = 0;
  uint64_t memory_bytes = 0;  // at least file_bytes; the rest is zero
};

struct ElfImage {
  bool is_64bit = false;
  uint64_t entry = 0;                 // e_entry as it stands: often a virtual address
  std::vector<ElfSegment> segments;   // in the file's order, at most kMaxSegments
  std::optional<uint32_t> pvh_entry;  // XEN_ELFNOTE_PHYS32_ENTRY: a physical address
  std::optional<Gpa> inspect_table;   // guest_abi::kInspectNoteType
  // The physical address of e_entry: through the segment whose virtual addresses hold it, else as it is.
  [[nodiscard]] uint64_t physical_entry() const;
};

inline constexpr size_t kMaxSegments = 128;
inline constexpr uint64_t kMaxNoteBytes = 64 * 1024;  // of one PT_NOTE

// Whether the file begins with ELF's magic.
Result<bool> is_elf(const BootFile& file);

// Parses and checks: x86, executable, segments inside the file, filesz <= memsz, no address that wraps. It does not
// check against guest RAM. Memory taken is bounded by the constants above.
Result<ElfImage> parse_elf(const BootFile& file);

}  // namespace twofold
