#include "vmm/machine/irq_line.h"

namespace twofold {

Result<std::unique_ptr<IrqLine>> IrqLine::create(const Vm& vm, uint32_t gsi) {
  auto event = make_eventfd();
  if (!event) return pass_on(event);
  if (auto done = vm.add_irqfd(event->get(), gsi); !done) return pass_on(done);
  return std::unique_ptr<IrqLine>(new IrqLine(std::move(*event)));
}

}  // namespace twofold
