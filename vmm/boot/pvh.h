// PVH: Xen's "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h), version 1.
#pragma once

#include <cstdint>
#include <optional>

#include "vmm/base/result.h"
#include "vmm/boot/placement.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

inline constexpr uint32_t XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
inline constexpr uint32_t XEN_ELFNOTE_PHYS32_ENTRY = 18;  // of owner "Xen"

struct hvm_start_info {
  uint32_t magic;
  uint32_t version;
  uint32_t flags;
  uint32_t nr_modules;
  uint64_t modlist_paddr;
  uint64_t cmdline_paddr;
  uint64_t rsdp_paddr;
  uint64_t memmap_paddr;
  uint32_t memmap_entries;
  uint32_t reserved;
};

struct hvm_modlist_entry {
  uint64_t paddr;
  uint64_t size;
  uint64_t cmdline_paddr;
  uint64_t reserved;
};

struct hvm_memmap_table_entry {
  uint64_t addr;
  uint64_t size;
  uint32_t type;
  uint32_t reserved;
};

static_assert(sizeof(hvm_start_info) == 56 && sizeof(hvm_modlist_entry) == 32 && sizeof(hvm_memmap_table_entry) == 24);

// Writes the start info and its lists at layout::kPvhInfo and returns the start info's address, for EBX. `cmdline` is
// the GPA of the NUL-terminated command line. There is no ACPI: rsdp_paddr is 0.
Result<Gpa> write_pvh_start_info(const GuestMemory& memory, Gpa cmdline, const std::optional<GpaRange>& module);

}  // namespace twofold
