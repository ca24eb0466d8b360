#include "vmm/boot/pvh.h"

#include "vmm/boot/memory_map.h"
#include "vmm/memory/layout.h"

namespace twofold {

Result<Gpa> write_pvh_start_info(const GuestMemory& memory, Gpa cmdline, const std::optional<GpaRange>& module) {
  const Gpa at{layout::kPvhInfo};
  const Gpa modlist = at + sizeof(hvm_start_info);
  const Gpa memmap = modlist + sizeof(hvm_modlist_entry);
  const auto map = memory_map(memory);

  hvm_start_info info = {};
  info.magic = XEN_HVM_START_MAGIC_VALUE;
  info.version = 1;
  info.cmdline_paddr = cmdline.value;
  info.memmap_paddr = memmap.value;
  info.memmap_entries = static_cast<uint32_t>(map.size());
  if (module) {
    info.nr_modules = 1;
    info.modlist_paddr = modlist.value;
  }
  bool written = memory.write(at, info);
  if (module) written = written && memory.write(modlist, hvm_modlist_entry{module->base.value, module->bytes, 0, 0});
  for (size_t i = 0; i < map.size(); ++i) {
    const hvm_memmap_table_entry entry{map[i].base.value, map[i].bytes, static_cast<uint32_t>(map[i].type), 0};
    written = written && memory.write(memmap + i * sizeof entry, entry);
  }
  if (!written) return fail("cannot write the PVH start info: no RAM at {:#x}", at.value);
  return at;
}

}  // namespace twofold
