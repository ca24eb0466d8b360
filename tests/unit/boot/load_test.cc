// What a kernel that is accepted finds in its memory.
#include "vmm/boot/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/boot/kernel_files.h"
#include "vmm/base/size.h"
#include "vmm/boot/multiboot.h"
#include "vmm/boot/pvh.h"
#include "vmm/memory/layout.h"

namespace twofold::test {
namespace {

class Load : public ::testing::Test {
 protected:
  Result<BootState> load(const Bytes& kernel, const BootFile* initrd = nullptr, const BootConfig& config = {}) {
    return load_kernel_file(memory_, file_of(kernel, "kernel", "dir/k.elf"), initrd, config);
  }
  template <typename T>
  T at(uint64_t gpa) {
    const auto value = memory_.read<T>(Gpa{gpa});
    EXPECT_TRUE(value.has_value()) << "no RAM at " << gpa;
    return value.value_or(T{});
  }
  std::string text_at(uint64_t gpa) {
    std::string text;
    for (char c = at<char>(gpa); c != '\0'; c = at<char>(++gpa)) text += c;
    return text;
  }
  GuestMemory memory_ = std::move(*GuestMemory::create(64 * MiB, layout::kHole));
};

TEST_F(Load, PutsSegmentsInPlaceWithZerosBehind) {
  ElfBuilder elf;
  elf.segment(0x100000, bytes_of("text")).segment(0x300ffe, bytes_of("data"), 0x2000).pvh_note(0x100002);
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(text_at(0x100000), "text");
  EXPECT_EQ(text_at(0x300ffe), "data");
  EXPECT_EQ(state->protocol, BootProtocol::kPvh);
  EXPECT_STREQ(to_string(state->protocol), "PVH");
  EXPECT_EQ(state->eip, 0x100002u);
  EXPECT_EQ(state->eax, 0u);
  EXPECT_EQ(state->ebx, layout::kPvhInfo);
  EXPECT_THAT(state->kernel, ::testing::ElementsAre(GpaRange{Gpa{0x100000}, 4}, GpaRange{Gpa{0x300ffe}, 0x2000}));
  EXPECT_FALSE(state->inspect_table.has_value());
}

TEST_F(Load, PvhStartInfo) {
  ElfBuilder elf(64);
  Bytes entry;
  append(entry, uint64_t{0x100000});  // Linux writes 8 bytes
  elf.segment(0x100000, Bytes(16)).note("Xen", 18, entry);
  BootConfig config;
  config.cmdline = "console=ttyS0 virtio_mmio.device=512@0xd0000000:5";
  const auto state = load(elf.build(), nullptr, config);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  const auto info = at<hvm_start_info>(state->ebx);
  EXPECT_EQ(info.magic, XEN_HVM_START_MAGIC_VALUE);
  EXPECT_EQ(info.version, 1u);
  EXPECT_EQ(info.nr_modules, 0u);
  EXPECT_EQ(info.modlist_paddr, 0u);
  EXPECT_EQ(info.rsdp_paddr, 0u);
  EXPECT_EQ(text_at(info.cmdline_paddr), config.cmdline);
  ASSERT_EQ(info.memmap_entries, 4u);
  const auto first = at<hvm_memmap_table_entry>(info.memmap_paddr);
  EXPECT_EQ(first.addr, 0u);
  EXPECT_EQ(first.size, layout::kEbda);
  EXPECT_EQ(first.type, 1u);
  const auto ram = at<hvm_memmap_table_entry>(info.memmap_paddr + 2 * sizeof(hvm_memmap_table_entry));
  EXPECT_EQ(ram.addr, 1 * MiB);
  EXPECT_EQ(ram.size, 63 * MiB);
}

TEST_F(Load, PvhModule) {
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(16)).pvh_note(0x100000);
  const BootFile initrd = file_of(bytes_of("archive"), "initrd", "rd.cpio");
  const auto state = load(elf.build(), &initrd);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  ASSERT_TRUE(state->initrd.has_value());
  EXPECT_EQ(*state->initrd, (GpaRange{Gpa{64 * MiB - kPageSize}, 7}));
  const auto info = at<hvm_start_info>(state->ebx);
  ASSERT_EQ(info.nr_modules, 1u);
  const auto module = at<hvm_modlist_entry>(info.modlist_paddr);
  EXPECT_EQ(module.paddr, state->initrd->base.value);
  EXPECT_EQ(module.size, 7u);
  EXPECT_EQ(text_at(module.paddr), "archive");
}

TEST_F(Load, InspectTableNote) {
  ElfBuilder elf;
  Bytes table;
  append(table, uint32_t{0x123000});
  elf.segment(0x100000, Bytes(16)).note("Twofold", 1, table).note("GNU", 3, Bytes(20)).pvh_note(0x100000);
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  ASSERT_TRUE(state->inspect_table.has_value());
  EXPECT_EQ(state->inspect_table->value, 0x123000u);
}

TEST_F(Load, SeveralNotesInOneSegment) {
  ElfBuilder one, two;
  Bytes table;
  append(table, uint32_t{0x123000});
  Bytes notes;
  for (const auto& [owner, type, value] :
       {std::tuple{std::string("Linux"), 6u, 7u}, {"Twofold", 1u, 0x123000u}, {"Xen", 18u, 0x100004u}}) {
    append(notes, static_cast<uint32_t>(owner.size() + 1));
    append(notes, uint32_t{4});
    append(notes, type);
    for (size_t i = 0; i < align_up(owner.size() + 1, 4); ++i) {
      notes.push_back(static_cast<std::byte>(i < owner.size() ? owner[i] : '\0'));
    }
    append(notes, value);
  }
  one.segment(0x100000, Bytes(16)).raw_notes(notes);
  const auto state = load(one.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->eip, 0x100004u);
  EXPECT_EQ(state->inspect_table.value_or(Gpa{}).value, 0x123000u);
}

TEST_F(Load, PvhIsPreferredToMultiboot) {
  ElfBuilder elf;
  elf.segment(0x100000, multiboot_header(0)).pvh_note(0x100004);
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->protocol, BootProtocol::kPvh);
}

// The information structure as a kernel sees it, by its offsets in the specification (§3.3).
TEST_F(Load, MultibootInformation) {
  ElfBuilder elf;
  elf.segment(0x100000, multiboot_header(3));
  BootConfig config;
  config.cmdline = "a=1";
  const BootFile initrd = file_of(Bytes(5000), "initrd", "mods/rd.cpio");
  const auto state = load(elf.build(), &initrd, config);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->protocol, BootProtocol::kMultiboot);
  EXPECT_EQ(state->eax, 0x2badb002u);
  EXPECT_EQ(state->ebx, layout::kMultibootInfo);
  const uint32_t info = state->ebx;
  EXPECT_EQ(at<uint32_t>(info) & 0x24du, 0x24du);  // memory, command line, modules, map, loader's name
  EXPECT_EQ(at<uint32_t>(info) & ~0x24du, 0u);     // and nothing that is not there
  EXPECT_EQ(at<uint32_t>(info + 4), 639u);         // mem_lower
  EXPECT_EQ(at<uint32_t>(info + 8), 63u * 1024);   // mem_upper
  EXPECT_EQ(text_at(at<uint32_t>(info + 16)), "dir/k.elf a=1");
  EXPECT_EQ(text_at(at<uint32_t>(info + 64)), "twofold");

  ASSERT_EQ(at<uint32_t>(info + 20), 1u);
  const uint32_t module = at<uint32_t>(info + 24);
  EXPECT_EQ(at<uint32_t>(module), state->initrd->base.value);
  EXPECT_EQ(at<uint32_t>(module + 4), state->initrd->base.value + 5000);
  EXPECT_EQ(text_at(at<uint32_t>(module + 8)), "mods/rd.cpio");
  EXPECT_EQ(at<uint32_t>(module) % kPageSize, 0u);

  // The map: entries that a kernel steps through by their size field.
  const uint32_t map = at<uint32_t>(info + 48);
  const uint32_t map_end = map + at<uint32_t>(info + 44);
  uint64_t ram = 0;
  int entries = 0;
  for (uint32_t entry = map; entry < map_end; entry += at<uint32_t>(entry) + 4, ++entries) {
    if (at<uint32_t>(entry + 20) == 1) ram += at<uint64_t>(entry + 12);
  }
  EXPECT_EQ(entries, 4);
  EXPECT_EQ(ram, 64 * MiB - (layout::kHighMemory - layout::kEbda));
}

TEST_F(Load, MultibootCommandLineIsTheKernelAloneWhenThereIsNoOther) {
  ElfBuilder elf;
  elf.segment(0x100000, multiboot_header(0));
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(text_at(at<uint32_t>(state->ebx + 16)), "dir/k.elf");
}

TEST_F(Load, HigherHalfMultibootEntryIsTranslated) {
  ElfBuilder elf;
  elf.entry = 0xc0100004;
  elf.segment(0x100000, multiboot_header(0), 0, 0xc0000000);
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->eip, 0x100004u);
}

TEST_F(Load, HigherHalfMultibootWithAPhysicalEntry) {
  ElfBuilder elf;
  elf.entry = 0x100008;
  elf.segment(0x100000, multiboot_header(0), 0, 0xc0000000);
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->eip, 0x100008u);
}

TEST_F(Load, FlatMultibootImage) {
  Bytes image = bytes_of("skipped!");  // ahead of what load_addr asks for
  const Bytes header = multiboot_header(0, {0x200000, 0x200000, 0x200024, 0x210000, 0x200020});
  image.insert(image.end(), header.begin(), header.end());
  for (const char c : std::string("codeNOT LOADED")) image.push_back(static_cast<std::byte>(c));
  const auto state = load(image);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->eip, 0x200020u);
  EXPECT_EQ(at<uint32_t>(0x200000), 0x1badb002u);
  EXPECT_EQ(text_at(0x200020), "code");
  EXPECT_THAT(state->kernel, ::testing::ElementsAre(GpaRange{Gpa{0x200000}, 0x10000}));
}

TEST_F(Load, AddressFieldsGoBeforeElfHeaders) {
  ElfBuilder elf;
  elf.segment(0x100000, multiboot_header(0, {0x400054, 0x400000, 0, 0, 0x400054}));
  const auto state = load(elf.build());
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(at<uint32_t>(0x400000), 0x464c457fu);  // the file from its first byte
  EXPECT_EQ(at<uint32_t>(0x400054), 0x1badb002u);
  EXPECT_EQ(at<uint32_t>(0x100000), 0u);
}

TEST_F(Load, AHeaderWithAWrongChecksumIsNone) {
  Bytes decoy = multiboot_header(0);
  decoy[8] ^= std::byte{1};
  const Bytes real = multiboot_header(3);
  decoy.insert(decoy.end(), real.begin(), real.end());
  ElfBuilder elf;
  elf.segment(0x100000, decoy);
  const auto header = find_multiboot_header(file_of(elf.build()));
  ASSERT_TRUE(header.has_value());
  ASSERT_TRUE(header->has_value());
  EXPECT_EQ((*header)->flags, 3u);
}

TEST_F(Load, AHeaderBeyondEightKibibytesIsNone) {
  Bytes image(8192);
  const Bytes header = multiboot_header(0);
  image.insert(image.end(), header.begin(), header.end());
  const auto found = find_multiboot_header(file_of(image));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->has_value());
}

TEST_F(Load, InitrdAvoidsAKernelAtTheTop) {
  ElfBuilder elf;
  elf.segment(64 * MiB - 0x8800, Bytes(0x8800)).pvh_note(static_cast<uint32_t>(64 * MiB - 0x8800));
  const BootFile initrd = file_of(Bytes(0x1800), "initrd", "rd");
  const auto state = load(elf.build(), &initrd);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->initrd->base.value, 64 * MiB - 0x9000 - 0x2000);
}

TEST_F(Load, InitrdStaysBelowWhatThirtyTwoBitKernelsMap) {
  auto memory = GuestMemory::create(6 * GiB, layout::kHole);
  ASSERT_TRUE(memory.has_value());
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(16)).pvh_note(0x100000);
  const BootFile initrd = file_of(Bytes(4097), "initrd", "rd");
  const auto state = load_kernel_file(*memory, file_of(elf.build()), &initrd, {});
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->initrd->base.value, layout::kInitrdLimit - 2 * kPageSize);
}

TEST_F(Load, SegmentsAboveFourGibibytes) {
  auto memory = GuestMemory::create(4 * GiB, layout::kHole);
  ASSERT_TRUE(memory.has_value());
  ElfBuilder elf(64);
  elf.segment(0x100000, Bytes(16)).segment(4 * GiB + 0x1000, bytes_of("high")).pvh_note(0x100000);
  const auto state = load_kernel_file(*memory, file_of(elf.build()), nullptr, {});
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(memory->read<char>(Gpa{4 * GiB + 0x1000}), 'h');
}

}  // namespace
}  // namespace twofold::test
