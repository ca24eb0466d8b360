// Our driver on QEMU's balloon, steered by QMP.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/interop/qemu_guest.h"
#include "tests/support/paging_load.h"
#include "tests/support/qmp.h"

namespace twofold::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMemory = 32 * kMiB;

// QEMU counts what the guest has left, not what the balloon holds. False if it does not get there in time.
bool resize(Qmp& qmp, uint64_t balloon_bytes) {
  const uint64_t left = (kMemory - balloon_bytes) / 4096 * 4096;
  (void)qmp.execute("balloon", {{"value", left}});
  for (int i = 0; i < 1000; ++i) {
    if (qmp.execute("query-balloon")["actual"] == left) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST(Balloon, AStormOfSizesOnQemusDeviceLosesNoByte) {
  const SwapDisk disk;
  auto argv = qemu_command(disk, "32M", "run=\"kvload 12 --seconds 12\"");
  argv.insert(argv.end(), {"-device", "virtio-balloon-device,deflate-on-oom=on,free-page-reporting=on", "-qmp",
                           "unix:" + disk.path("qmp") + ",server=on,wait=off"});
  Process guest(argv);
  ASSERT_TRUE(guest.wait_for("values of 1024 bytes are there", kLimit)) << guest.output() << guest.errors();
  Qmp qmp(disk.path("qmp"), 10s);
  std::mt19937 random(1);
  for (int i = 0; i < 40; ++i) {
    const uint64_t bytes = i % 10 == 9 ? 0 : random() % (kMemory * 3 / 4);
    ASSERT_TRUE(resize(qmp, bytes)) << "size " << i << ", " << bytes << ": " << qmp.execute("query-balloon").dump()
                                    << guest.output();
  }
  ASSERT_TRUE(resize(qmp, 0));
  const auto ending = guest.wait(kLimit);
  ASSERT_TRUE(ending && ending->status) << guest.output() << guest.errors();
  EXPECT_EQ(*ending->status, kPassed) << guest.output();
  EXPECT_EQ(occurrences(guest.output(), ", verified"), 1) << guest.output();
  EXPECT_EQ(occurrences(guest.output(), "out of memory"), 0) << guest.output();
}

}  // namespace
}  // namespace twofold::test
