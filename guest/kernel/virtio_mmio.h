// virtio's MMIO transport as its driver sees it: virtio 1.2, 4.2, version 2.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

class Virtqueue;

// One device's registers. What a word on the kernel command line announces: virtio_mmio.device=SIZE@ADDRESS:IRQ.
class VirtioMmio {
 public:
  // Reads the announcement that stands at `*position` or after it on the command line, maps its registers and moves
  // `*position` past it. False at the end of the line.
  bool find(uint32_t* position);

  // 0: a slot without a device. See virtio 1.2, 5.
  [[nodiscard]] uint32_t device_id() const { return device_id_; }
  [[nodiscard]] PhysAddr address() const { return address_; }
  [[nodiscard]] uint32_t irq() const { return irq_; }

  // Resets the device and agrees with it on those of `features` that it has, VERSION_1 always among them. False, and
  // the device is told so, if it does not accept them.
  [[nodiscard]] bool negotiate(uint64_t features);
  [[nodiscard]] bool has_feature(uint32_t bit) const { return (features_ >> bit & 1) != 0; }

  // Sets up a queue of at most Virtqueue::kMaxSize entries. False if the device has none of that number, or memory is
  // full. REQUIRES: negotiate
  [[nodiscard]] bool set_up_queue(uint32_t index, Virtqueue* queue);

  void start();  // the device may use its queues from now on
  void give_up();

  [[nodiscard]] uint32_t read_config(uint32_t offset) const;
  void write_config(uint32_t offset, uint32_t value);

  void notify(uint32_t queue_index);

  // Reads and acknowledges why the device has interrupted. Look at the queues afterwards, never before.
  uint32_t take_interrupt();

 private:
  [[nodiscard]] volatile uint32_t& reg(uint32_t offset) const;
  void add_status(uint32_t bits);

  volatile uint8_t* registers_ = nullptr;
  PhysAddr address_ = 0;
  uint32_t irq_ = 0;
  uint32_t device_id_ = 0;
  uint64_t features_ = 0;
};

}  // namespace twofold::kernel
