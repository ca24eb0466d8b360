#include "vmm/virtio/blk.h"

#include <gtest/gtest.h>
#include <linux/virtio_mmio.h>

#include <string>

#include "tests/unit/virtio/blk_machine.h"

namespace twofold {
namespace {

using testing::BlkMachine;
using testing::kVersion1;
using testing::Segment;
using testing::TempDisk;

constexpr uint64_t kSectors = 64;
constexpr Gpa kHeader = BlkMachine::kHeader;
constexpr Gpa kStatus = BlkMachine::kStatus;
constexpr Gpa kData = BlkMachine::kData;

// 64 sectors, each filled with a letter of its own.
std::string pattern() {
  std::string bytes;
  for (uint64_t sector = 0; sector < kSectors; ++sector) bytes.append(kSectorBytes, static_cast<char>('!' + sector));
  return bytes;
}

class Blk : public ::testing::Test {
 protected:
  void SetUp() override { disk_.set_content(pattern()); }
  TempDisk disk_{kSectors * kSectorBytes};
};

TEST_F(Blk, SaysWhatItIs) {
  BlkMachine m(disk_);
  EXPECT_EQ(m.driver.read(VIRTIO_MMIO_DEVICE_ID), 2u);
  EXPECT_EQ(m.driver.read(VIRTIO_MMIO_CONFIG), kSectors) << "capacity, low half";
  EXPECT_EQ(m.driver.read(VIRTIO_MMIO_CONFIG + 4), 0u);
  EXPECT_EQ(m.driver.read(VIRTIO_MMIO_CONFIG + 8), VirtioBlk::kSizeMax);
  EXPECT_EQ(m.driver.read(VIRTIO_MMIO_CONFIG + 12), VirtioBlk::kSegMax);
  EXPECT_EQ(m.driver.read(VIRTIO_MMIO_CONFIG + 20), 512u) << "blk_size";
  const uint64_t features = m.driver.offered_features();
  EXPECT_NE(features & 1u << VIRTIO_BLK_F_FLUSH, 0u);
  EXPECT_EQ(features & 1u << VIRTIO_BLK_F_RO, 0u);
}

TEST_F(Blk, Reads) {
  BlkMachine m(disk_);
  const auto answer = m.request(VIRTIO_BLK_T_IN, 5, 1024, true);
  EXPECT_EQ(answer.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(answer.length, 1025u) << "data and status";
  EXPECT_EQ(m.ram(kData, 1024), pattern().substr(5 * 512, 1024));
  EXPECT_EQ(m.interrupt.take(), 1);
  EXPECT_EQ(m.blk.stats().reads, 1u);
  EXPECT_EQ(m.blk.stats().read_bytes, 1024u);
}

TEST_F(Blk, Writes) {
  BlkMachine m(disk_);
  m.set_ram(kData, std::string(1024, 'W'));
  const auto answer = m.request(VIRTIO_BLK_T_OUT, 62, 1024, false);
  EXPECT_EQ(answer.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(answer.length, 1u) << "the status alone";
  EXPECT_EQ(disk_.content(), pattern().replace(62 * 512, 1024, 1024, 'W'));
  EXPECT_EQ(m.blk.stats().written_bytes, 1024u);
}

TEST_F(Blk, FlushesAndTellsItsId) {
  BlkMachine m(disk_);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_FLUSH, 0, 0, true).status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(m.blk.stats().flushes, 1u);
  m.set_ram(kData, std::string(24, '#'));
  const auto answer = m.request(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true);
  EXPECT_EQ(answer.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(answer.length, 21u);
  EXPECT_EQ(m.ram(kData, 24), std::string("disk-of-the-test\0\0\0\0####", 24));
}

TEST_F(Blk, RefusesSectorsOutOfRange) {
  BlkMachine m(disk_);
  const std::pair<uint64_t, uint32_t> kOutside[] = {
      {kSectors, 512}, {kSectors - 1, 1024}, {~uint64_t{0}, 512}, {~uint64_t{0} / 512 + 1, 512}, {0, 65 * 512}};
  for (const auto& [sector, bytes] : kOutside) {
    EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, sector, bytes, true).status, VIRTIO_BLK_S_IOERR) << sector;
    const auto answer = m.request(VIRTIO_BLK_T_OUT, sector, bytes, false);
    EXPECT_EQ(answer.status, VIRTIO_BLK_S_IOERR) << sector;
    EXPECT_EQ(answer.length, 1u);
  }
  EXPECT_EQ(disk_.content(), pattern());
  EXPECT_EQ(m.blk.stats().failures, 10u);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, kSectors - 1, 512, true).status, VIRTIO_BLK_S_OK) << "the last one is there";
}

TEST_F(Blk, AFailedReadClaimsNoBytes) {
  BlkMachine m(disk_);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, kSectors, 512, true).length, 0u);
}

TEST_F(Blk, RefusesPartsOfSectors) {
  BlkMachine m(disk_);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, 0, 511, true).status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_OUT, 0, 513, false).status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(disk_.content(), pattern());
}

TEST_F(Blk, UnknownTypesAreUnsupported) {
  BlkMachine m(disk_);
  for (const uint32_t type : {2u, 3u, 5u, uint32_t{VIRTIO_BLK_T_DISCARD}, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(m.request(type, 0, 512, true).status, VIRTIO_BLK_S_UNSUPP) << type;
  }
}

TEST_F(Blk, AReadOnlyDiskSaysSoAndRefusesWrites) {
  BlkMachine m(disk_, DiskImage::Access::kReadOnly);
  EXPECT_NE(m.driver.offered_features() & 1u << VIRTIO_BLK_F_RO, 0u);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_OUT, 0, 512, false).status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, 0, 512, true).status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_FLUSH, 0, 0, true).status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(m.blk.stats().writes, 0u) << "not even tried";
  EXPECT_EQ(disk_.content(), pattern());
}

// §2.7.4.1: a driver may cut a request wherever it likes.
TEST_F(Blk, FramingDoesNotMatter) {
  BlkMachine m(disk_);
  (void)m.memory.write(kHeader, virtio_blk_outhdr{VIRTIO_BLK_T_OUT, 0, 7});
  m.set_ram(kHeader + sizeof(virtio_blk_outhdr), std::string(512, 'c'));
  // The header in two, its second half together with the first data bytes.
  auto answer = m.send({{kHeader, 5}, {kHeader + 5, 100}, {kHeader + 105, 512 + 16 - 105}, {kStatus, 1, true}});
  EXPECT_EQ(answer.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(disk_.content().substr(7 * 512, 512), std::string(512, 'c'));

  // Data and status in one buffer.
  (void)m.memory.write(kHeader, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, 7});
  answer = m.send({{kHeader, sizeof(virtio_blk_outhdr)}, {Gpa{kStatus.value - 512}, 513, true}});
  EXPECT_EQ(answer.status, VIRTIO_BLK_S_OK);
  EXPECT_EQ(answer.length, 513u);
  EXPECT_EQ(m.ram(Gpa{kStatus.value - 512}, 512), std::string(512, 'c'));
}

TEST_F(Blk, WithoutHeaderOrStatusTheDeviceNeedsAReset) {
  for (const auto& segments : std::vector<std::vector<Segment>>{{{kHeader, 16}},                      // no status
                                                                {{kHeader, 15}, {kStatus, 1, true}},  // no whole header
                                                                {{kStatus, 1, true}}}) {
    BlkMachine m(disk_);
    (void)m.memory.write(kHeader, virtio_blk_outhdr{VIRTIO_BLK_T_FLUSH, 0, 0});
    EXPECT_EQ(m.send(segments).status, -1);
    EXPECT_NE(m.driver.read(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET, 0u);
    EXPECT_EQ(m.transport.stats().broken_queues, 1u);
  }
}

TEST_F(Blk, WithoutTheFlushFeatureTheDiskWritesThrough) {
  for (const bool flush : {false, true}) {
    BlkMachine m(disk_, DiskImage::Access::kReadWrite, kVersion1 | (flush ? 1u << VIRTIO_BLK_F_FLUSH : 0));
    EXPECT_EQ(m.blk.write_through(), !flush);
    m.set_ram(kData, std::string(512, 't'));
    EXPECT_EQ(m.request(VIRTIO_BLK_T_OUT, 1, 512, false).status, VIRTIO_BLK_S_OK);
    EXPECT_EQ(disk_.content().substr(512, 512), std::string(512, 't'));
    m.driver.write(VIRTIO_MMIO_STATUS, 0);
    EXPECT_TRUE(m.blk.write_through()) << "what the next driver takes is not known yet";
  }
}

TEST_F(Blk, ABatchIsOneInterrupt) {
  BlkMachine m(disk_);
  for (uint64_t i = 0; i < 20; ++i) {
    const Gpa header = kHeader + i * 32;
    (void)m.memory.write(header, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, i});
    const std::vector<Segment> segments = {{header, 16}, {kData + i * 512, 512, true}, {kStatus + i, 1, true}};
    ASSERT_TRUE(m.queue.add(segments));
  }
  m.queue.publish();
  m.driver.notify(0);
  EXPECT_EQ(m.interrupt.take(), 1);
  EXPECT_EQ(m.queue.used_index(), 20u);
  EXPECT_EQ(m.ram(kData, 20 * 512), pattern().substr(0, 20 * 512));
}

TEST(BlkBounds, ABatchEndsAndLeavesTheRestForTheNextCall) {
  const TempDisk disk(32 << 20);
  BlkMachine m(disk);
  for (uint64_t i = 0; i < 3; ++i) {
    const Gpa header = kHeader + i * 32;
    (void)m.memory.write(header, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, 0});
    const std::vector<Segment> segments = {{header, 16}, {kData, 16 << 20, true}, {kStatus + i, 1, true}};
    ASSERT_TRUE(m.queue.add(segments));
  }
  m.queue.publish();
  EXPECT_TRUE(m.transport.notify(0));
  EXPECT_EQ(m.queue.used_index(), 1u);
  EXPECT_FALSE(m.queue.wants_notification()) << "it comes back by itself";
  EXPECT_TRUE(m.transport.notify(0));
  EXPECT_TRUE(m.transport.notify(0));
  EXPECT_EQ(m.queue.used_index(), 3u);
  EXPECT_FALSE(m.transport.notify(0));
}

TEST(BlkBounds, ARequestBeyondTheLimitIsRefused) {
  const TempDisk disk(64 << 20);
  BlkMachine m(disk);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, 0, (16 << 20) + 512, true).status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(m.request(VIRTIO_BLK_T_IN, 0, 16 << 20, true).status, VIRTIO_BLK_S_OK);
}

TEST(BlkBounds, AFileCutUnderUsIsAnIoError) {
  const TempDisk disk(64 * 512);
  BlkMachine m(disk);
  ASSERT_EQ(::truncate(disk.path().c_str(), 512 + 100), 0);
  const auto answer = m.request(VIRTIO_BLK_T_IN, 0, 1024, true);
  EXPECT_EQ(answer.status, VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(answer.length, 612u) << "what was written, and no more";
}

}  // namespace
}  // namespace twofold
