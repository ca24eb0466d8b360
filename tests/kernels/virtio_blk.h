// A virtio-blk driver of one request at a time, and the PVH entry that calls kernel_main: for kernels of one source
// file.
#pragma once

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#define VIRTIO_RING_NO_LEGACY  // its helpers are C
#include <linux/virtio_ring.h>
#include <stdint.h>

namespace {

constexpr uint32_t kSector = 512;
constexpr uint16_t kQueueSize = 8;

// The parts of Xen's start info (PVH) that are needed here.
struct StartInfo {
  uint32_t magic, version, flags, modules;
  uint64_t module_list, cmdline;
};

uint32_t device = 0;  // where its registers are
alignas(4096) vring_desc descriptors[kQueueSize];
alignas(4096) struct { uint16_t flags, index, ring[kQueueSize]; } available;
alignas(4096) struct {
  uint16_t flags;
  volatile uint16_t index;
  vring_used_elem ring[kQueueSize];
} used;
alignas(512) uint8_t sector_data[kSector];
virtio_blk_outhdr header;
volatile uint8_t request_status;

void out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
[[noreturn]] inline void verdict(uint32_t value) {
  for (;;) asm volatile("outl %0, $0xf4" ::"a"(value));
}
void check(bool right, uint32_t step) {
  if (!right) verdict(0x20 + step);
}

volatile uint32_t& reg(uint32_t offset) {
  return *reinterpret_cast<volatile uint32_t*>(device + offset);
}

// Reads a number, decimal or 0x, and moves past it.
uint32_t number(const char*& text) {
  uint32_t value = 0;
  const bool hex = text[0] == '0' && text[1] == 'x';
  if (hex) text += 2;
  for (;; ++text) {
    if (*text >= '0' && *text <= '9') {
      value = value * (hex ? 16 : 10) + static_cast<uint32_t>(*text - '0');
    } else if (hex && *text >= 'a' && *text <= 'f') {
      value = value * 16 + static_cast<uint32_t>(*text - 'a') + 10;
    } else {
      return value;
    }
  }
}

// Finds "virtio_mmio.device=SIZE@ADDR:IRQ"; returns the IRQ.
uint32_t find_device(const char* cmdline) {
  constexpr char kName[] = "virtio_mmio.device=";
  for (; *cmdline != 0; ++cmdline) {
    uint32_t same = 0;
    while (same < sizeof kName - 1 && cmdline[same] == kName[same]) ++same;
    if (same < sizeof kName - 1) continue;
    const char* at = cmdline + same;
    check(number(at) == 512 && *at++ == '@', 1);
    device = number(at);
    check(*at++ == ':', 2);
    return number(at);
  }
  verdict(0x20 + 3);
}

void shake_hands() {
  check(reg(VIRTIO_MMIO_MAGIC_VALUE) == 0x74726976 && reg(VIRTIO_MMIO_VERSION) == 2, 4);
  check(reg(VIRTIO_MMIO_DEVICE_ID) == 2, 5);
  reg(VIRTIO_MMIO_STATUS) = 0;
  reg(VIRTIO_MMIO_STATUS) = VIRTIO_CONFIG_S_ACKNOWLEDGE;
  reg(VIRTIO_MMIO_STATUS) = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
  reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 0;
  reg(VIRTIO_MMIO_DRIVER_FEATURES) = 1U << VIRTIO_BLK_F_FLUSH;
  reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 1;
  reg(VIRTIO_MMIO_DRIVER_FEATURES) = 1U << (VIRTIO_F_VERSION_1 - 32);
  const uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
  reg(VIRTIO_MMIO_STATUS) = status;
  check(reg(VIRTIO_MMIO_STATUS) == status, 6);
  reg(VIRTIO_MMIO_QUEUE_SEL) = 0;
  check(reg(VIRTIO_MMIO_QUEUE_NUM_MAX) >= kQueueSize, 7);
  reg(VIRTIO_MMIO_QUEUE_NUM) = kQueueSize;
  reg(VIRTIO_MMIO_QUEUE_DESC_LOW) = reinterpret_cast<uint32_t>(descriptors);
  reg(VIRTIO_MMIO_QUEUE_AVAIL_LOW) = reinterpret_cast<uint32_t>(&available);
  reg(VIRTIO_MMIO_QUEUE_USED_LOW) = reinterpret_cast<uint32_t>(&used);
  reg(VIRTIO_MMIO_QUEUE_READY) = 1;
  reg(VIRTIO_MMIO_STATUS) = status | VIRTIO_CONFIG_S_DRIVER_OK;
}

vring_desc describe(const volatile void* data, uint32_t bytes, uint32_t flags, uint32_t next) {
  return {reinterpret_cast<uint32_t>(data), bytes, static_cast<uint16_t>(flags), static_cast<uint16_t>(next)};
}

// One request from start to end; returns the status byte that the device wrote.
uint8_t request(uint32_t type, uint32_t sector) {
  header = {type, 0, sector};
  request_status = 0xff;
  const bool has_data = type != VIRTIO_BLK_T_FLUSH;
  descriptors[0] = describe(&header, sizeof header, VRING_DESC_F_NEXT, has_data ? 1 : 2);
  descriptors[1] =
      describe(sector_data, kSector, VRING_DESC_F_NEXT | (type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0), 2);
  descriptors[2] = describe(&request_status, 1, VRING_DESC_F_WRITE, 0);
  const uint16_t before = used.index;
  available.ring[available.index % kQueueSize] = 0;
  asm volatile("" ::: "memory");  // the CPU keeps stores in order; the compiler must too
  available.index = static_cast<uint16_t>(available.index + 1);
  asm volatile("mfence" ::: "memory");
  reg(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
  while (used.index == before) asm volatile("pause" ::: "memory");
  asm volatile("" ::: "memory");
  return request_status;
}

}  // namespace

extern "C" [[noreturn]] void kernel_main(const StartInfo* info);

// PVH: EBX is the start info.
asm(R"(
  .section .note.pvh, "a", @note
  .align 4
  .long 4, 4, 18
  .asciz "Xen"
  .long start
  .text
  .globl start
start:
  mov $stack_end, %esp
  push %ebx
  call kernel_main
  .bss
  .align 16
  .skip 8192
stack_end:
  .text
)");
