// Every guest-physical address that Twofold gives a meaning to, in ascending order. docs/memory-map.md tells the same
// story in prose. Nothing else in the program writes such an address down.
//
//   0x0000'0000 ┌──────────────────────────────┐
//               │ BIOS data area               │ two words only: where the EBDA is, how much base memory
//   0x0000'6000 ├──────────────────────────────┤
//               │ PVH start info and its lists │
//   0x0000'7000 ├──────────────────────────────┤
//               │ Multiboot info and its lists │
//   0x0000'8000 ├──────────────────────────────┤
//               │ left to the guest            │ where kernels put their AP trampolines
//   0x0002'0000 ├──────────────────────────────┤
//               │ command line                 │
//   0x0002'4000 ├──────────────────────────────┤
//               │ left to the guest            │
//   0x0009'fc00 ├──────────────────────────────┤
//               │ EBDA: MP tables              │
//   0x000a'0000 ├──────────────────────────────┤
//               │ reserved, as on a PC         │
//   0x0010'0000 ├──────────────────────────────┤
//               │ RAM: kernel … initrd at top  │ (the initrd below 896 MiB)
//   0xc000'0000 ├──────────────────────────────┤ (or the end of RAM, if that is lower)
//               │ the hole: no RAM             │ virtio-mmio, I/O APIC, local APICs, KVM's own pages
// 0x1'0000'0000 ├──────────────────────────────┤
//               │ RAM beyond 3 GiB             │
//               └──────────────────────────────┘
#pragma once

#include <cstdint>

namespace twofold::layout {

// ---- 0x0000'0000: BIOS data area -------------------------------------------------------------------------
inline constexpr uint64_t kBda = 0x400;
inline constexpr uint64_t kBdaBytes = 0x100;
inline constexpr uint64_t kBdaEbdaSegment = 0x40e;    // le16: EBDA address >> 4
inline constexpr uint64_t kBdaBaseMemoryKib = 0x413;  // le16: KiB of memory below the EBDA

// ---- 0x0000'6000: boot information -----------------------------------------------------------------------
inline constexpr uint64_t kPvhInfo = 0x6000;
inline constexpr uint64_t kPvhInfoBytes = 0x1000;
inline constexpr uint64_t kMultibootInfo = kPvhInfo + kPvhInfoBytes;
inline constexpr uint64_t kMultibootInfoBytes = 0x1000;

// ---- 0x0002'0000: command line ---------------------------------------------------------------------------
inline constexpr uint64_t kCmdline = 0x20000;
inline constexpr uint64_t kCmdlineBytes = 0x4000;  // with its NUL

// ---- 0x0009'fc00: extended BIOS data area, with the MP tables --------------------------------------------
inline constexpr uint64_t kEbda = 0x9fc00;
inline constexpr uint64_t kEbdaBytes = 0x400;

// ---- 0x000a'0000: reserved -------------------------------------------------------------------------------
inline constexpr uint64_t kReserved = kEbda + kEbdaBytes;
static_assert(kReserved == 0xa0000);

// ---- 0x0010'0000: kernels load from here; the initrd lies at the top of low RAM --------------------------
inline constexpr uint64_t kHighMemory = 0x100000;
inline constexpr uint64_t kInitrdLimit = 0x38000000;  // the initrd ends here at most: what 32-bit Linux maps (896 MiB)

// ---- 0xc000'0000: the hole -------------------------------------------------------------------------------
inline constexpr uint64_t kHole = 0xc0000000;
inline constexpr uint64_t kVirtioMmio = 0xd0000000;
inline constexpr uint64_t kVirtioMmioStride = 0x1000;  // one device a page; its registers fill the first 0x200
inline constexpr uint64_t kVirtioMmioBytes = 0x200;
inline constexpr uint32_t kVirtioMmioMax = 8;
inline constexpr uint32_t kVirtioMmioFirstIrq = 5;  // device n raises IRQ 5 + n: reachable by 8259 and I/O APIC alike
inline constexpr uint64_t kIoApic = 0xfec00000;
inline constexpr uint64_t kLocalApic = 0xfee00000;
inline constexpr uint64_t kKvmIdentityMap = 0xfffbc000;  // one page, for KVM's real mode without unrestricted guest
inline constexpr uint64_t kKvmTss = 0xfffbd000;          // three pages, likewise
inline constexpr uint64_t kKvmPagesBytes = 0x4000;       // both together

// ---- 0x1'0000'0000: RAM beyond the hole ------------------------------------------------------------------
inline constexpr uint64_t kAboveHole = uint64_t{1} << 32;

// ---- I/O ports -------------------------------------------------------------------------------------------
inline constexpr uint16_t kPortDebugExit = 0xf4;  // QEMU's isa-debug-exit
inline constexpr uint16_t kPortDebugExitBytes = 4;
inline constexpr uint16_t kPortCom1 = 0x3f8;
inline constexpr uint16_t kPortCom1Bytes = 8;
inline constexpr uint32_t kIrqCom1 = 4;

inline constexpr uint32_t kMaxCpus = 8;

}  // namespace twofold::layout
