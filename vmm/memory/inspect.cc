#include "vmm/memory/inspect.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "guest/abi/abi.h"

namespace twofold {

namespace {

using guest_abi::InspectEntry;
using guest_abi::InspectTable;

struct InspectHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t count;
  uint32_t entry_size;
};
static_assert(sizeof(InspectHeader) == offsetof(InspectTable, entries));

// Up to the first NUL, with what a terminal could stumble over shown as '?'.
std::string clean_name(std::span<const char> raw) {
  std::string name;
  for (const char c : raw) {
    if (c == '\0') break;
    name += c >= ' ' && c <= '~' ? c : '?';
  }
  return name;
}

std::string describe(const std::vector<GuestProcess>& processes) {
  if (processes.empty()) return "it has none";
  std::string text = "it has";
  for (const GuestProcess& process : processes) text += fmt::format(" {}({})", process.name, process.pid);
  return text;
}

}  // namespace

Result<std::vector<GuestProcess>> list_processes(const GuestMemory& memory, Gpa table) {
  const auto header = memory.read<InspectHeader>(table);
  if (!header) {
    return fail("cannot list the guest's processes: its table would lie at GPA {:#x}, outside RAM; give a CR3 instead",
                table.value);
  }
  if (header->magic != guest_abi::kInspectMagic) {
    return fail(
        "cannot list the guest's processes: no table at GPA {:#x} (magic {:#x}); it may not have booted far "
        "enough yet: retry, or give a CR3 instead",
        table.value, header->magic);
  }
  if (header->version != guest_abi::kInspectVersion || header->entry_size != sizeof(InspectEntry)) {
    return fail(
        "cannot list the guest's processes: its table has version {} with entries of {} bytes, not {} and {}; "
        "use a guest of the same build",
        header->version, header->entry_size, guest_abi::kInspectVersion, sizeof(InspectEntry));
  }
  const uint32_t count = std::min(header->count, guest_abi::kMaxProcs);
  std::vector<GuestProcess> processes;
  for (uint32_t i = 0; i < count; ++i) {
    const auto entry = memory.read<InspectEntry>(table + sizeof(InspectHeader) + i * sizeof(InspectEntry));
    if (!entry) break;  // the table runs past the end of RAM
    if (entry->pid > 0) processes.push_back({entry->pid, entry->cr3, clean_name(entry->name)});
  }
  return processes;
}

Result<GuestProcess> find_process(const GuestMemory& memory, Gpa table, std::string_view who) {
  const auto processes = list_processes(memory, table);
  if (!processes) return pass_on(processes);
  int32_t pid = 0;
  const auto [end, error] = std::from_chars(who.data(), who.data() + who.size(), pid);
  const bool is_number = error == std::errc() && end == who.data() + who.size();
  const GuestProcess* found = nullptr;
  for (const GuestProcess& process : *processes) {
    const bool matches = is_number ? process.pid == pid : process.name == who;
    if (matches && (found == nullptr || process.pid < found->pid)) found = &process;
  }
  if (found == nullptr) return fail("the guest has no process '{}': {}", who, describe(*processes));
  return *found;
}

}  // namespace twofold
