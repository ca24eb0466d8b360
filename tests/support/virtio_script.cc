#include "tests/support/virtio_script.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/support/script_reader.h"
#include "tests/support/virtio_driver.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/mmio_transport.h"

namespace twofold::testing {

namespace {

// Small, for speed: most of a run is the kernel's giving pages.
constexpr uint64_t kRamBytes = 64 * 1024;
constexpr uint64_t kRamHole = 32 * 1024;  // the other half lies at 4 GiB
constexpr uint64_t kDiskBytes = 8 * 1024;
constexpr Gpa kQueueAt{0x1000};
constexpr uint16_t kQueueSize = 16;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;

class Machine {
 public:
  Machine(DiskImage image, uint64_t features)
      : blk_(std::move(image), "fuzz"), driver_(transport_), queue_(memory_, kQueueAt, kQueueSize, features) {}

  void start_honestly(uint64_t features) {
    if (driver_.negotiate(features) && driver_.start_queue(0, queue_.layout())) driver_.driver_ok();
  }

  void step(ScriptReader& script) {
    switch (script.take<uint8_t>() % 8) {
      case 0:
        driver_.write(script.take<uint8_t>() * 4u, script.take<uint32_t>());
        break;
      case 1:
        access_oddly(script);
        break;
      case 2: {
        const Gpa gpa = take_gpa(script, kRamBytes, kRamHole);
        const auto bytes = script.take_bytes(script.take<uint8_t>() % 64);
        const auto to = memory_.at(gpa, bytes.size());
        if (!to.empty()) std::ranges::copy(std::as_bytes(bytes), to.begin());
        break;
      }
      case 3:
        (void)transport_.notify(script.take<uint8_t>() % 4);
        break;
      case 4: {
        const auto index = static_cast<uint16_t>(script.take<uint8_t>() % kQueueSize);
        const Gpa gpa = take_gpa(script, kRamBytes, kRamHole);
        const auto length = script.take<uint32_t>() >> (script.take<uint8_t>() % 32);
        queue_.write_descriptor(index, {gpa.value, length, static_cast<uint16_t>(script.take<uint8_t>() % 8),
                                        static_cast<uint16_t>(script.take<uint8_t>() % (kQueueSize + 2))});
        break;
      }
      case 5:
        make_available(script.take<uint8_t>());
        break;
      case 6:
        driver_.write(VIRTIO_MMIO_STATUS, script.take<uint8_t>());
        break;
      default:
        send_request(script);
        break;
    }
  }

  const char* check_recovery(bool read_only);

  MmioTransport& transport() { return transport_; }

 private:
  void access_oddly(ScriptReader& script) {
    const auto offset = script.take<uint16_t>() % MmioTransport::kBytes;
    const auto width = size_t{1} << (script.take<uint8_t>() % 4);
    std::array<std::byte, 8> data{};
    if (script.take<uint8_t>() % 2 == 0) {
      transport_.read(offset, std::span(data).first(width));
    } else {
      transport_.write(offset, std::span(data).first(width));
    }
  }

  void make_available(uint8_t head) {
    queue_.write_ring(available_ % kQueueSize, head % (kQueueSize + 1));
    queue_.write_available_index(++available_);
  }

  // Nearly well-formed: header, one data buffer, status, each field the script's.
  void send_request(ScriptReader& script) {
    const auto first = static_cast<uint16_t>(script.take<uint8_t>() % (kQueueSize - 2));
    const Gpa header_at{0x3000 + uint64_t{first} * 16};
    const virtio_blk_outhdr header = {script.take<uint8_t>() % 16u, 0, script.take<uint8_t>()};
    (void)memory_.write(header_at, header);
    const uint32_t bytes = script.take<uint8_t>() * 128u;
    const bool in = header.type != VIRTIO_BLK_T_OUT;
    const auto data_flags = static_cast<uint16_t>(VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0));
    queue_.write_descriptor(first,
                            {header_at.value, sizeof header, VRING_DESC_F_NEXT, static_cast<uint16_t>(first + 1)});
    queue_.write_descriptor(
        first + 1, {take_gpa(script, kRamBytes, kRamHole).value, bytes, data_flags, static_cast<uint16_t>(first + 2)});
    queue_.write_descriptor(first + 2, {0x4000, 1, VRING_DESC_F_WRITE, 0});
    make_available(static_cast<uint8_t>(first));
  }

  NullInterrupt interrupt_;
  GuestMemory memory_ = GuestMemory::create(kRamBytes, kRamHole).value();
  VirtioBlk blk_;
  MmioTransport transport_{blk_, memory_, interrupt_};
  MmioDriver driver_;
  DriverQueue queue_;
  uint16_t available_ = 0;
};

const char* Machine::check_recovery(bool read_only) {
  DriverQueue queue(memory_, kQueueAt, kQueueSize);
  std::ranges::fill(memory_.at(kQueueAt, queue.end().value - kQueueAt.value), std::byte{0});
  if (!driver_.negotiate(kVersion1)) return "a reset device refuses an honest handshake";
  if (!driver_.start_queue(0, queue.layout())) return "a reset device refuses an honest queue";
  driver_.driver_ok();

  const Gpa header{0x3000};
  const Gpa out_data{0x4000};
  const Gpa in_data{0x5000};
  const Gpa status{0x6000};
  std::ranges::fill(memory_.at(out_data, kSectorBytes), std::byte{0x5a});
  const auto request = [&](uint32_t type, Gpa data) -> int {
    (void)memory_.write(header, virtio_blk_outhdr{type, 0, 3});
    (void)memory_.write(status, uint8_t{0xee});
    const std::array<Segment, 3> segments = {
        {{header, sizeof(virtio_blk_outhdr)}, {data, kSectorBytes, type == VIRTIO_BLK_T_IN}, {status, 1, true}}};
    if (!queue.add(segments)) return -1;
    queue.publish();
    driver_.notify(0);
    return queue.take_used() ? *memory_.read<uint8_t>(status) : -1;
  };
  if (request(VIRTIO_BLK_T_OUT, out_data) != (read_only ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK)) {
    return "an honest write got the wrong status";
  }
  if (request(VIRTIO_BLK_T_IN, in_data) != VIRTIO_BLK_S_OK) return "an honest read failed";
  const bool same = std::ranges::equal(memory_.at(in_data, kSectorBytes), memory_.at(out_data, kSectorBytes));
  if (!read_only && !same) return "an honest read did not get what was written";
  return nullptr;
}

// A fresh image of ones in memory, reachable by a path.
UniqueFd make_image() {
  UniqueFd fd(::memfd_create("disk", MFD_CLOEXEC));
  const std::vector<uint8_t> ones(kDiskBytes, 1);
  return ::write(fd.get(), ones.data(), ones.size()) == static_cast<ssize_t>(kDiskBytes) ? std::move(fd) : UniqueFd();
}

const char* check_image(int fd, bool read_only) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size != static_cast<off_t>(kDiskBytes)) return "the image changed its size";
  if (!read_only) return nullptr;
  std::vector<uint8_t> bytes(kDiskBytes);
  if (::pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(kDiskBytes)) return "cannot read the image";
  return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 1; }) ? nullptr : "a read-only image was written";
}

}  // namespace

const char* run_virtio_script(std::span<const uint8_t> bytes) {
  ScriptReader script(bytes);
  const auto flags = script.take<uint8_t>();
  const bool read_only = (flags & 1) != 0;
  const bool start = (flags & 2) != 0;
  const uint64_t features = kVersion1 | ((flags & 4) != 0 ? 1u << VIRTIO_RING_F_EVENT_IDX : 0) |
                            ((flags & 8) != 0 ? 1u << VIRTIO_RING_F_INDIRECT_DESC : 0) |
                            ((flags & 16) != 0 ? 1u << VIRTIO_BLK_F_FLUSH : 0);

  const UniqueFd fd = make_image();
  if (!fd) return "cannot make a disk image";
  auto image = DiskImage::open("/proc/self/fd/" + std::to_string(fd.get()),
                               read_only ? DiskImage::Access::kReadOnly : DiskImage::Access::kReadWrite);
  if (!image) return "cannot open the disk image";
  Machine machine(std::move(*image), features);
  if (start) machine.start_honestly(features);
  while (!script.done()) machine.step(script);
  if (const char* wrong = machine.check_recovery(read_only)) return wrong;
  return check_image(fd.get(), read_only);
}

}  // namespace twofold::testing
