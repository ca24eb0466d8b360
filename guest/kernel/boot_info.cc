#include "guest/kernel/boot_info.h"

#include "guest/kernel/cmdline.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"

namespace twofold::kernel {

constinit BootInfo boot_info{};

namespace {

constexpr uint32_t XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
constexpr uint32_t XEN_HVM_MEMMAP_TYPE_RAM = 1;

struct hvm_start_info {
  uint32_t magic;
  uint32_t version;  // 1 and later have the memory map
  uint32_t flags;
  uint32_t nr_modules;
  uint64_t modlist_paddr;
  uint64_t cmdline_paddr;
  uint64_t rsdp_paddr;
  uint64_t memmap_paddr;
  uint32_t memmap_entries;
  uint32_t reserved;
};
static_assert(sizeof(hvm_start_info) == 56);

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

void read_memory_map(const hvm_start_info& info) {
  for (uint32_t i = 0; i < info.memmap_entries; ++i) {
    hvm_memmap_table_entry entry;
    paging::phys_copy(&entry, info.memmap_paddr + i * sizeof(entry), sizeof(entry));
    if (entry.type != XEN_HVM_MEMMAP_TYPE_RAM || entry.size == 0) continue;
    if (boot_info.ram_count == BootInfo::kMaxRanges) {
      kprintf("memory map: more than %u ranges of RAM; the rest goes unused\n", BootInfo::kMaxRanges);
      return;
    }
    boot_info.ram[boot_info.ram_count++] = {entry.addr, entry.addr + entry.size};
  }
}

}  // namespace

void read_start_info(PhysAddr address) {
  hvm_start_info info;
  paging::phys_copy(&info, address, sizeof(info));
  if (info.magic != XEN_HVM_START_MAGIC_VALUE || info.version == 0) {
    PANIC("no PVH start info with a memory map at 0x%x (magic 0x%x, version %u): boot this kernel by PVH", address,
          info.magic, info.version);
  }
  read_memory_map(info);
  if (boot_info.ram_count == 0) PANIC("the PVH memory map at 0x%x lists no RAM", address);
  if (info.nr_modules > 0) {
    hvm_modlist_entry module;
    paging::phys_copy(&module, info.modlist_paddr, sizeof(module));
    boot_info.initrd_start = module.paddr;
    boot_info.initrd_end = module.paddr + module.size;
  }
  boot_info.rsdp = info.rsdp_paddr;
  cmdline::init(info.cmdline_paddr);
}

}  // namespace twofold::kernel
