#include "guest/kernel/irq.h"

#include "guest/kernel/cpu.h"
#include "guest/kernel/ioapic.h"
#include "guest/kernel/lapic.h"

namespace twofold::kernel::irq {
namespace {

struct Line {
  Handler handler;
  void* context;
};
constinit Line lines[kLines]{};

}  // namespace

bool install(const Platform& platform, uint32_t line, Handler handler, void* context) {
  if (line >= kLines || lines[line].handler != nullptr) return false;
  lines[line] = {handler, context};
  ioapic::route(platform, line, cpus[0].apic_id);
  return true;
}

void handle(uint32_t line) {
  if (lines[line].handler != nullptr) lines[line].handler(lines[line].context);
  lapic::end_of_interrupt();  // after the handler: a level line is quiet by then
}

}  // namespace twofold::kernel::irq
