// Thousands of random requests against a reference disk: a string.
#include <gtest/gtest.h>
#include <linux/virtio_ring.h>

#include <map>
#include <random>
#include <string>

#include "tests/unit/virtio/blk_machine.h"

namespace twofold {
namespace {

using testing::BlkMachine;
using testing::kVersion1;
using testing::Segment;
using testing::TempDisk;

constexpr uint32_t kSectors = 200;
constexpr uint32_t kMaxRequestSectors = 24;
constexpr uint64_t kSlotBytes = 0x8000;  // of guest memory, a request: header, status, table, data

class Model {
 public:
  Model(BlkMachine& machine, uint32_t seed) : m_(machine), random_(seed) {}

  // Sends a batch of requests on disjoint sectors, so that their order does not matter, and checks the answers.
  void run_batch() {
    std::map<uint32_t, Expected> in_flight;
    uint32_t sector = below(kSectors / 8);
    for (uint64_t slot = 0; slot < 6 && sector < kSectors + 4; ++slot) {
      const uint32_t sectors = 1 + below(kMaxRequestSectors);
      const auto expected = make(slot, sector, sectors);
      if (!expected) break;
      in_flight.emplace(expected->first, expected->second);
      sector += sectors + below(20);
    }
    m_.queue.publish();
    m_.driver.notify(0);
    while (const auto used = m_.queue.take_used()) {
      const auto found = in_flight.find(used->id);
      ASSERT_NE(found, in_flight.end());
      check(found->second, used->len);
      in_flight.erase(found);
    }
    EXPECT_TRUE(in_flight.empty());
  }

  [[nodiscard]] const std::string& disk() const { return disk_; }
  [[nodiscard]] int done() const { return done_; }

 private:
  struct Expected {
    bool read;
    bool fails;
    Gpa data;
    Gpa status;
    std::string content;  // of a read
    uint32_t bytes;
  };

  uint32_t below(uint32_t n) { return random_() % n; }

  // Cuts [gpa, gpa + bytes) into pieces at random places.
  void cut(Gpa gpa, uint32_t bytes, bool device_writes, std::vector<Segment>& out) {
    while (bytes > 0) {
      const uint32_t piece = below(3) == 0 ? 1 + below(bytes) : bytes;
      out.push_back({gpa, piece, device_writes});
      gpa = gpa + piece;
      bytes -= piece;
    }
  }

  std::optional<std::pair<uint32_t, Expected>> make(uint64_t slot, uint32_t sector, uint32_t sectors) {
    const Gpa header = BlkMachine::kData + slot * kSlotBytes;
    const Gpa table = header + 0x1000;
    const Gpa data = header + 0x2000 + below(512);
    const uint32_t bytes = sectors * 512;
    Expected expected{below(2) == 0, sector + sectors > kSectors, data, data + bytes, "", bytes};

    (void)m_.memory.write(header,
                          virtio_blk_outhdr{static_cast<uint32_t>(expected.read ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT),
                                            below(1000), sector});
    std::string content(bytes, '\0');
    for (char& byte : content) byte = static_cast<char>(random_());
    m_.set_ram(data, content);
    (void)m_.memory.write(expected.status, uint8_t{0xee});
    expected.content = expected.fails ? content : disk_.substr(sector * 512, bytes);
    if (!expected.read && !expected.fails) disk_.replace(sector * 512, bytes, content);

    std::vector<Segment> segments;
    cut(header, sizeof(virtio_blk_outhdr), false, segments);
    // A read's status may share the data's last buffer.
    cut(data, bytes + (expected.read ? 1 : 0), expected.read, segments);
    if (!expected.read) segments.push_back({expected.status, 1, true});
    const auto head =
        below(2) == 0 && segments.size() < 64 ? m_.queue.add_indirect(segments, table) : m_.queue.add(segments);
    if (!head) return std::nullopt;
    return std::pair{uint32_t{*head}, expected};
  }

  void check(const Expected& expected, uint32_t used) {
    ++done_;
    EXPECT_EQ(*m_.memory.read<uint8_t>(expected.status), expected.fails ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
    if (!expected.read) {
      EXPECT_EQ(used, 1u);
      return;
    }
    EXPECT_EQ(used, expected.fails ? 0 : expected.bytes + 1);
    EXPECT_TRUE(m_.ram(expected.data, expected.bytes) == expected.content);
  }

  BlkMachine& m_;
  std::mt19937 random_;
  std::string disk_ = std::string(uint64_t{kSectors} * 512, '\0');
  int done_ = 0;
};

class BlkModel : public ::testing::TestWithParam<uint64_t> {};

TEST_P(BlkModel, RandomRequestsAgreeWithTheModel) {
  const TempDisk disk(uint64_t{kSectors} * 512);
  BlkMachine machine(disk, DiskImage::Access::kReadWrite,
                     kVersion1 | 1u << VIRTIO_BLK_F_FLUSH | 1u << VIRTIO_RING_F_INDIRECT_DESC | GetParam());
  Model model(machine, 20'26);
  while (model.done() < 4000 && !HasFailure()) model.run_batch();
  EXPECT_TRUE(disk.content() == model.disk());
  EXPECT_EQ(machine.transport.stats().broken_queues, 0u);
}

INSTANTIATE_TEST_SUITE_P(EventIdx, BlkModel, ::testing::Values(0, 1u << VIRTIO_RING_F_EVENT_IDX));

}  // namespace
}  // namespace twofold
