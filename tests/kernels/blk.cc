// Drives a virtio-blk disk as a guest does: finds it on the command line, shakes hands, reads sector 0, writes every
// byte plus one to sector 7, flushes, reads sector 7 back, and looks for the interrupt in the 8259. Verdict 0x10 if all
// of it went well, 0x13 if the disk refused the write (a read-only one does), else 0x20 plus the number of the step
// that failed.
#include "virtio_blk.h"

namespace {

uint8_t in8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

// Whether the 8259s have latched an edge on `irq`, whether or not they would deliver it.
bool interrupt_seen(uint32_t irq) {
  const uint16_t port = irq < 8 ? 0x20 : 0xa0;
  out8(port, 0x0a);  // OCW3: the next read is of the request register
  return (in8(port) & (1U << (irq % 8))) != 0;
}

}  // namespace

extern "C" [[noreturn]] void kernel_main(const StartInfo* info) {
  const uint32_t irq = find_device(reinterpret_cast<const char*>(static_cast<uint32_t>(info->cmdline)));
  constexpr uint16_t kControllers[] = {0x20, 0xa0};
  for (const uint16_t port : kControllers) {  // edge-triggered, all masked: requests are latched all the same
    out8(port, 0x11);
    out8(port + 1, port == 0x20 ? 0x20 : 0x28);
    out8(port + 1, port == 0x20 ? 4 : 2);
    out8(port + 1, 1);
    out8(port + 1, 0xff);
  }
  shake_hands();
  check(!interrupt_seen(irq), 8);
  check(request(VIRTIO_BLK_T_IN, 0) == VIRTIO_BLK_S_OK, 9);
  for (uint32_t i = 0; i < 1000 && !interrupt_seen(irq); ++i) asm volatile("pause");
  check(interrupt_seen(irq), 10);
  check((reg(VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_VRING) != 0, 11);

  uint8_t expected[kSector];
  for (uint32_t i = 0; i < kSector; ++i) sector_data[i] = expected[i] = static_cast<uint8_t>(sector_data[i] + 1);
  if (request(VIRTIO_BLK_T_OUT, 7) != VIRTIO_BLK_S_OK) verdict(0x13);
  check(request(VIRTIO_BLK_T_FLUSH, 0) == VIRTIO_BLK_S_OK, 12);
  for (uint8_t& byte : sector_data) byte = 0;
  check(request(VIRTIO_BLK_T_IN, 7) == VIRTIO_BLK_S_OK, 13);
  for (uint32_t i = 0; i < kSector; ++i) check(sector_data[i] == expected[i], 14);
  check(request(VIRTIO_BLK_T_IN, 0x7fffffff) == VIRTIO_BLK_S_IOERR, 15);
  verdict(0x10);
}
