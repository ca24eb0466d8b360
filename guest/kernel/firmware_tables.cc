#include "guest/kernel/firmware_tables.h"

#include "guest/kernel/acpi_tables.h"
#include "guest/kernel/mp_tables.h"

namespace twofold::kernel {

Platform read_firmware_tables() {
  Platform platform{};
  platform.lapic = 0xfee00000;
  platform.ioapic = 0xfec00000;
  for (uint32_t i = 0; i < Platform::kIsaInterrupts; ++i) platform.isa[i].pin = i;
  // ACPI first: where a machine has both, its MP tables may list one processor a socket only (SeaBIOS does so).
  if (read_acpi_tables(&platform)) {
    platform.source = "ACPI";
  } else if (read_mp_tables(&platform)) {
    platform.source = "MP tables";
  } else {
    platform.source = "defaults";
  }
  if (platform.cpu_count == 0) platform.cpu_count = 1;  // the one that asks; main.cc finds its APIC id out
  return platform;
}

}  // namespace twofold::kernel
