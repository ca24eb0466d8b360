// A virtio-blk device with a driver's side, in memory: what the disk tests share.
#pragma once

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include <array>
#include <string>
#include <vector>

#include "tests/support/virtio_driver.h"
#include "tests/unit/virtio/fakes.h"
#include "tests/unit/virtio/temp_disk.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold::testing {

inline constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;

struct BlkMachine {
  static constexpr uint64_t kRamBytes = 64 << 20;
  static constexpr uint16_t kQueueSize = 128;
  static constexpr Gpa kHeader{0x10000};
  static constexpr Gpa kStatus{0x11000};
  static constexpr Gpa kData{0x100000};

  explicit BlkMachine(const TempDisk& disk, DiskImage::Access access = DiskImage::Access::kReadWrite,
                      uint64_t features = kVersion1 | 1u << VIRTIO_BLK_F_FLUSH)
      : blk(DiskImage::open(disk.path(), access).value(), "disk-of-the-test"),
        queue(memory, Gpa{0x1000}, kQueueSize, features) {
    if (!driver.negotiate(features) || !driver.start_queue(0, queue.layout())) std::abort();
    driver.driver_ok();
  }

  struct Answer {
    int status = -1;      // -1: no answer
    uint32_t length = 0;  // the used element's
  };

  // Sends header, data and status as three descriptors (two without data), and waits for the answer.
  Answer request(uint32_t type, uint64_t sector, uint32_t bytes, bool device_writes) {
    (void)memory.write(kHeader, virtio_blk_outhdr{type, 0, sector});
    std::vector<Segment> segments = {{kHeader, sizeof(virtio_blk_outhdr)}};
    if (bytes > 0) segments.push_back({kData, bytes, device_writes});
    segments.push_back({kStatus, 1, true});
    return send(segments);
  }
  // The same with any segments; the header has to be in memory, and the status is read at kStatus.
  Answer send(const std::vector<Segment>& segments) {
    (void)memory.write(kStatus, uint8_t{0xee});
    if (!queue.add(segments)) return {};
    queue.publish();
    driver.notify(0);
    const auto used = queue.take_used();
    if (!used) return {};
    return {*memory.read<uint8_t>(kStatus), used->len};
  }

  [[nodiscard]] std::string ram(Gpa gpa, uint64_t bytes) const {
    const auto at = memory.at(gpa, bytes);
    return {reinterpret_cast<const char*>(at.data()), at.size()};
  }
  void set_ram(Gpa gpa, const std::string& bytes) const {
    std::ranges::copy(std::as_bytes(std::span(bytes)), memory.at(gpa, bytes.size()).begin());
  }

  GuestMemory memory = GuestMemory::create(kRamBytes, kRamBytes).value();
  CountingInterrupt interrupt;
  VirtioBlk blk;
  MmioTransport transport{blk, memory, interrupt};
  MmioDriver driver{transport};
  DriverQueue queue;
};

}  // namespace twofold::testing
