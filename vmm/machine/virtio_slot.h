// A virtio device in its place: transport on the MMIO bus, interrupt line, and an ioeventfd for each queue.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vmm/devices/bus.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/irq_line.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold {

// Built before vCPUs run. Queues are processed on the event loop's thread.
class VirtioSlot {
 public:
  // Plugs `device` into slot `index` (below layout::kVirtioMmioMax). The references outlive the slot; the slot outlives
  // the loop's running.
  static Result<std::unique_ptr<VirtioSlot>> create(uint32_t index, std::unique_ptr<VirtioDevice> device, const Vm& vm,
                                                    const GuestMemory& memory, Bus& mmio, EventLoop& loop);

  // What the guest's command line says of it: "virtio_mmio.device=512@0xd0000000:5".
  static std::string announcement(uint32_t index);

  [[nodiscard]] const VirtioDevice& device() const { return *device_; }
  [[nodiscard]] const MmioTransport& transport() const { return *transport_; }
  [[nodiscard]] MmioTransport& transport() { return *transport_; }

 private:
  VirtioSlot() = default;
  Status watch_queue(uint32_t index, uint64_t base, const Vm& vm, EventLoop& loop);

  std::unique_ptr<VirtioDevice> device_;
  std::unique_ptr<IrqLine> irq_;
  std::unique_ptr<MmioTransport> transport_;
  std::vector<UniqueFd> notify_events_;  // one a queue
};

}  // namespace twofold
