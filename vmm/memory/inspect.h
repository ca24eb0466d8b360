// Looking at our own guest's process list from outside, through the table its kernel keeps (guest/abi/abi.h). A guest
// is never trusted: the count is bounded, names are cut and cleaned, and nothing it says has any effect but on output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/result.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

struct GuestProcess {
  int32_t pid = 0;
  uint32_t cr3 = 0;  // GPA of the page directory, as the guest says
  std::string name;  // printable characters, at most 16
};

// The processes in the InspectTable at `table`, in the table's order, at most guest_abi::kMaxProcs. With vCPUs running,
// an entry may be torn between two processes. Errors: no table there (yet), or one of another version.
Result<std::vector<GuestProcess>> list_processes(const GuestMemory& memory, Gpa table);

// The process with that pid, if `who` is a number; else the one of that name, the lowest pid if several. Errors: as
// above, or no such process, with those there are.
Result<GuestProcess> find_process(const GuestMemory& memory, Gpa table, std::string_view who);

}  // namespace twofold
