#include "vmm/virtio/disk_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/unit/virtio/temp_disk.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;
using testing::TempDisk;
using Access = DiskImage::Access;

std::string error_of(const std::string& path, Access access) {
  const auto image = DiskImage::open(path, access);
  return image ? "no error" : image.error().message;
}

TEST(DiskImage, KnowsItsSize) {
  const TempDisk disk(10 * kSectorBytes);
  const auto image = DiskImage::open(disk.path(), Access::kReadWrite);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->sectors(), 10u);
  EXPECT_EQ(image->bytes(), 5120u);
  EXPECT_FALSE(image->read_only());
}

TEST(DiskImage, SaysWhatIsWrong) {
  EXPECT_THAT(error_of("/nonexistent/disk", Access::kReadWrite), HasSubstr("'/nonexistent/disk'"));
  EXPECT_THAT(error_of(TempDisk(1000).path(), Access::kReadWrite), HasSubstr("1000 bytes are not a multiple of 512"));
  EXPECT_THAT(error_of(TempDisk(0).path(), Access::kReadWrite), HasSubstr("empty"));
  EXPECT_THAT(error_of("/tmp", Access::kReadOnly), HasSubstr("neither a file nor a block device"));
  EXPECT_THAT(error_of("/dev/null", Access::kReadWrite), HasSubstr("neither a file nor a block device"));
}

TEST(DiskImage, AFifoDoesNotHangUs) {
  const TempDisk disk(0);
  const std::string fifo = disk.path() + ".fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(error_of(fifo, Access::kReadOnly), HasSubstr("neither a file nor a block device"));
  ::unlink(fifo.c_str());
}

TEST(DiskImage, OneWriterOrManyReaders) {
  const TempDisk disk(512);
  {
    const auto writer = DiskImage::open(disk.path(), Access::kReadWrite);
    ASSERT_TRUE(writer);
    EXPECT_THAT(error_of(disk.path(), Access::kReadWrite), HasSubstr("in use"));
    EXPECT_THAT(error_of(disk.path(), Access::kReadOnly), HasSubstr("in use"));
  }
  const auto reader = DiskImage::open(disk.path(), Access::kReadOnly);
  const auto second = DiskImage::open(disk.path(), Access::kReadOnly);
  EXPECT_TRUE(reader && second);
  EXPECT_THAT(error_of(disk.path(), Access::kReadWrite), HasSubstr("in use"));
}

TEST(DiskImage, MovesScatteredBuffers) {
  const TempDisk disk(8 * kSectorBytes);
  const auto image = DiskImage::open(disk.path(), Access::kReadWrite);
  ASSERT_TRUE(image);
  std::string first(100, 'a');
  std::string second(412, 'b');
  std::array<iovec, 2> out = {{{first.data(), first.size()}, {second.data(), second.size()}}};
  EXPECT_EQ(image->write(out, 512, false), 512u);
  EXPECT_TRUE(image->flush());
  EXPECT_EQ(disk.content().substr(512, 512), first + second);

  std::string one(3, '?');
  std::string two(509, '?');
  std::array<iovec, 2> in = {{{one.data(), one.size()}, {two.data(), two.size()}}};
  EXPECT_EQ(image->read(in, 512), 512u);
  EXPECT_EQ(one + two, first + second);
}

TEST(DiskImage, AFileCutUnderUsReadsShort) {
  const TempDisk disk(4 * kSectorBytes);
  const auto image = DiskImage::open(disk.path(), Access::kReadWrite);
  ASSERT_TRUE(image);
  ASSERT_EQ(::truncate(disk.path().c_str(), 700), 0);
  std::string bytes(1024, '?');
  std::array<iovec, 1> in = {{{bytes.data(), bytes.size()}}};
  EXPECT_EQ(image->read(in, 0), 700u);
}

TEST(DiskImage, AReadOnlyImageCannotBeWritten) {
  const TempDisk disk(512);
  const auto image = DiskImage::open(disk.path(), Access::kReadOnly);
  ASSERT_TRUE(image);
  std::string bytes(512, 'x');
  std::array<iovec, 1> out = {{{bytes.data(), bytes.size()}}};
  EXPECT_EQ(image->write(out, 0, false), 0u);
  EXPECT_EQ(disk.content(), std::string(512, '\0'));
}

}  // namespace
}  // namespace twofold
