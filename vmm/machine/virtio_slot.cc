#include "vmm/machine/virtio_slot.h"

#include <sys/epoll.h>

#include "vmm/memory/layout.h"

namespace twofold {

namespace {
uint64_t base_of_slot(uint32_t index) {
  return layout::kVirtioMmio + index * layout::kVirtioMmioStride;
}
}  // namespace

static_assert(MmioTransport::kBytes == layout::kVirtioMmioBytes);

Result<std::unique_ptr<VirtioSlot>> VirtioSlot::create(uint32_t index, std::unique_ptr<VirtioDevice> device,
                                                       const Vm& vm, const GuestMemory& memory, Bus& mmio,
                                                       EventLoop& loop) {
  auto irq = IrqLine::create(vm, layout::kVirtioMmioFirstIrq + index);
  if (!irq) return pass_on(irq);
  std::unique_ptr<VirtioSlot> slot(new VirtioSlot);
  slot->device_ = std::move(device);
  slot->irq_ = std::move(*irq);
  slot->transport_ = std::make_unique<MmioTransport>(*slot->device_, memory, *slot->irq_);

  const uint64_t base = base_of_slot(index);
  const auto added = mmio.add(base, layout::kVirtioMmioBytes, slot->device_->name(), *slot->transport_);
  if (!added) return pass_on(added);
  for (uint32_t queue = 0; queue < slot->transport_->queue_count(); ++queue) {
    if (auto done = slot->watch_queue(queue, base, vm, loop); !done) return pass_on(done);
  }
  return slot;
}

Status VirtioSlot::watch_queue(uint32_t index, uint64_t base, const Vm& vm, EventLoop& loop) {
  auto event = make_eventfd();
  if (!event) return pass_on(event);
  const int fd = event->get();
  notify_events_.push_back(std::move(*event));
  if (auto done = vm.add_ioeventfd(fd, Gpa{base + MmioTransport::kNotifyOffset}, index); !done) return done;
  return loop.add(fd, EPOLLIN, [this, fd, index](uint32_t) {
    drain_eventfd(fd);
    // Signalled again rather than looped, so that one busy disk does not starve the console.
    if (transport_->notify(index)) signal_eventfd(fd);
  });
}

std::string VirtioSlot::announcement(uint32_t index) {
  return fmt::format("virtio_mmio.device={}@{:#x}:{}", layout::kVirtioMmioBytes, base_of_slot(index),
                     layout::kVirtioMmioFirstIrq + index);
}

}  // namespace twofold
