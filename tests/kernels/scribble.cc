// Writes its disk over and over, a sector at a time, in order: every byte of round n's sectors is n. Flushes now and
// then, and says '!' on COM1 after the first round. Never ends by itself.
#include "virtio_blk.h"

namespace {
constexpr uint32_t kSectors = 64;
constexpr uint32_t kFlushEvery = 16;
}  // namespace

extern "C" [[noreturn]] void kernel_main(const StartInfo* info) {
  find_device(reinterpret_cast<const char*>(static_cast<uint32_t>(info->cmdline)));
  shake_hands();
  for (uint8_t round = 1;; ++round) {
    for (uint32_t sector = 0; sector < kSectors; ++sector) {
      for (uint8_t& byte : sector_data) byte = round;
      check(request(VIRTIO_BLK_T_OUT, sector) == VIRTIO_BLK_S_OK, 30);
      if (sector % kFlushEvery == 0) check(request(VIRTIO_BLK_T_FLUSH, 0) == VIRTIO_BLK_S_OK, 31);
    }
    if (round == 1) {
      out8(0x3f8, '!');
      out8(0x3f8, '\n');
    }
  }
}
