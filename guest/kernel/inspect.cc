#include "guest/kernel/inspect.h"

#include "guest/abi/abi.h"
#include "guest/kernel/process.h"
#include "guest/kernel/string.h"

// The ELF note in guest/boot/entry.S points here.
extern "C" {
constinit guest_abi::InspectTable inspect_table{
    guest_abi::kInspectMagic, guest_abi::kInspectVersion, guest_abi::kMaxProcs, sizeof(guest_abi::InspectEntry), {}};
}

namespace twofold::kernel::inspect {
namespace {

guest_abi::InspectEntry& entry_of(const Process& process) {
  return inspect_table.entries[&process - processes];
}

// The reader runs at any moment: keep the compiler from moving what comes before a store of the pid past it.
void publish(guest_abi::InspectEntry& entry, int32_t pid) {
  __atomic_store_n(&entry.pid, pid, __ATOMIC_RELEASE);
}

}  // namespace

void update(const Process& process) {
  guest_abi::InspectEntry& entry = entry_of(process);
  publish(entry, 0);  // half an entry is none
  __atomic_thread_fence(__ATOMIC_RELEASE);
  entry.cr3 = process.space.cr3();
  memcpy(entry.name, process.name, sizeof(entry.name));
  publish(entry, process.pid);
}

void remove(const Process& process) {
  publish(entry_of(process), 0);
}

}  // namespace twofold::kernel::inspect
