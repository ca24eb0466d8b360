// KVM's wrappers against KVM itself: guests of a dozen bytes.
#include "vmm/kvm/kvm.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/kvm/tiny_guest.h"
#include "vmm/memory/reclaim.h"

namespace twofold {
namespace {

using testing::kCode;
using testing::kData;
using testing::kDirectory;
using testing::kTable;
using testing::out_value;
using testing::TinyGuest;

TEST(Kvm, PortExitCarriesAddressAndValue) {
  constexpr std::array<uint8_t, 9> kOut = {
      0xb8, 0x78, 0x56, 0x34, 0x12,  // mov eax, 0x12345678
      0xe7, 0xf4,                    // out 0xf4, eax
      0xeb, 0xfe,                    // jmp .
  };
  TinyGuest guest(kOut);
  const kvm_run& run = guest.run();
  ASSERT_EQ(run.exit_reason, static_cast<uint32_t>(KVM_EXIT_IO));
  EXPECT_EQ(run.io.direction, KVM_EXIT_IO_OUT);
  EXPECT_EQ(run.io.port, 0xf4);
  EXPECT_EQ(run.io.size, 4);
  EXPECT_EQ(out_value(run), 0x12345678U);
}

TEST(Kvm, GuestPageTablesTranslate) {
  constexpr std::array<uint8_t, 25> kPaged = {
      0xb8, 0x00, 0x20, 0x00, 0x00,  // mov eax, kDirectory
      0x0f, 0x22, 0xd8,              // mov cr3, eax
      0x0f, 0x20, 0xc0,              // mov eax, cr0
      0x0f, 0xba, 0xe8, 0x1f,        // bts eax, 31
      0x0f, 0x22, 0xc0,              // mov cr0, eax
      0xa1, 0x23, 0x51, 0x00, 0x40,  // mov eax, [0x40005123]
      0xe7, 0xf4,                    // out 0xf4, eax
  };
  TinyGuest guest(kPaged);
  // GVA 0x40005000 → GPA 0x5000, and the code's page to itself.
  constexpr uint32_t kPresent = 0x3;
  ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kDirectory}, kTable | kPresent));
  ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kDirectory + 4 * (0x40005123U >> 22)}, kTable | kPresent));
  ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kTable + 4 * 1}, kCode | kPresent));
  ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kTable + 4 * 5}, kData | kPresent));
  ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kData + 0x123}, 0xfeedc0de));

  const kvm_run& run = guest.run();
  ASSERT_EQ(run.exit_reason, static_cast<uint32_t>(KVM_EXIT_IO));
  EXPECT_EQ(out_value(run), 0xfeedc0deU);
  // The hardware marked what it used: accessed (bit 5) in both entries of the data page, not dirty.
  EXPECT_EQ(*guest.memory.read<uint32_t>(Gpa{kTable + 4 * 5}) & 0x60, 0x20U);
}

TEST(Kvm, AWriteOutsideRamIsAnMmioExit) {
  constexpr std::array<uint8_t, 12> kStore = {
      0xc7, 0x05, 0x50, 0x00, 0x00, 0xd0, 0x07, 0x00, 0x00, 0x00,  // mov dword [0xd0000050], 7
      0xeb, 0xfe,                                                  // jmp .
  };
  TinyGuest guest(kStore);
  const kvm_run& run = guest.run();
  ASSERT_EQ(run.exit_reason, static_cast<uint32_t>(KVM_EXIT_MMIO));
  EXPECT_EQ(run.mmio.phys_addr, 0xd0000050U);
  EXPECT_EQ(run.mmio.len, 4U);
  EXPECT_EQ(run.mmio.is_write, 1);
  EXPECT_EQ(run.mmio.data[0], 7);
}

TEST(Kvm, AnIoeventfdTakesItsValueWithoutAnExit) {
  constexpr std::array<uint8_t, 22> kStores = {
      0xc7, 0x05, 0x50, 0x00, 0x00, 0xd0, 0x00, 0x00, 0x00, 0x00,  // mov dword [0xd0000050], 0: matches
      0xc7, 0x05, 0x50, 0x00, 0x00, 0xd0, 0x01, 0x00, 0x00, 0x00,  // mov dword [0xd0000050], 1: does not
      0xeb, 0xfe,                                                  // jmp .
  };
  TinyGuest guest(kStores);
  const auto event = make_eventfd();
  ASSERT_TRUE(event);
  ASSERT_TRUE(guest.vm.add_ioeventfd(event->get(), Gpa{0xd0000050}, 0));
  const kvm_run& run = guest.run();
  ASSERT_EQ(run.exit_reason, static_cast<uint32_t>(KVM_EXIT_MMIO));
  EXPECT_EQ(run.mmio.data[0], 1) << "the matching store must not have left the kernel";
  EXPECT_TRUE(drain_eventfd(event->get()));
}

TEST(Kvm, ImmediateExitComesBackBeforeTheFirstInstruction) {
  constexpr std::array<uint8_t, 2> kOut = {0xe6, 0xf4};  // out 0xf4, al
  TinyGuest guest(kOut);
  guest.vcpus[0].run_page().immediate_exit = 1;
  EXPECT_EQ(guest.vcpus[0].run(), EINTR);
  guest.vcpus[0].run_page().immediate_exit = 0;
  EXPECT_EQ(guest.run().exit_reason, static_cast<uint32_t>(KVM_EXIT_IO));
}

// The second dimension forgets a page that was given up: EPT or NPT must not lead to the frame that the host has taken.
TEST(Kvm, AGuestFindsZerosWhereItsPageWasGivenUp) {
  constexpr std::array<uint8_t, 14> kReadAndWrite = {
      0xa1, 0x00, 0x50, 0x00, 0x00,  // again: mov eax, [0x5000]
      0xa3, 0x04, 0x50, 0x00, 0x00,  // mov [0x5004], eax
      0xe7, 0xf4,                    // out 0xf4, eax
      0xeb, 0xf2,                    // jmp again
  };
  TinyGuest guest(kReadAndWrite);
  Reclaim reclaim(guest.memory);
  constexpr std::array<FrameRun, 1> kGiven = {FrameRun{kData / kPageSize, 1}};
  for (const bool by_balloon : {true, false, true}) {
    ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kData}, 0xfeedc0de));
    ASSERT_EQ(out_value(guest.run()), 0xfeedc0deU);
    ASSERT_EQ(*guest.memory.read<uint32_t>(Gpa{kData + 4}), 0xfeedc0deU) << "the guest wrote through its own mapping";
    if (by_balloon) {
      reclaim.inflate(kGiven);
    } else {
      reclaim.discard_free(kGiven);
    }
    EXPECT_EQ(out_value(guest.run()), 0U) << (by_balloon ? "ballooned" : "reported");
    // What it writes there lands where the host sees it, and the rest of the page is zeros, too.
    ASSERT_TRUE(guest.memory.write<uint32_t>(Gpa{kData}, 0x600dbeef));
    EXPECT_EQ(out_value(guest.run()), 0x600dbeefU);
    EXPECT_EQ(*guest.memory.read<uint32_t>(Gpa{kData + 4}), 0x600dbeefU);
    EXPECT_EQ(*guest.memory.read<uint32_t>(Gpa{kData + 8}), 0U);
    if (by_balloon) reclaim.deflate(kGiven);
  }
  EXPECT_EQ(reclaim.stats().failed_bytes, 0U);
}

TEST(Kvm, OpenSaysWhatIsMissing) {
  const auto missing = Kvm::open("/dev/no-such-kvm");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/dev/no-such-kvm"), std::string::npos);
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
  EXPECT_FALSE(Kvm::open("/dev/null")) << "not KVM, though it opens";
}

}  // namespace
}  // namespace twofold
