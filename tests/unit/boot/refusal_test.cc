// Every kernel and initrd that is refused, and the one line that says why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/boot/kernel_files.h"
#include "vmm/base/size.h"
#include "vmm/boot/load.h"
#include "vmm/memory/layout.h"

namespace twofold::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Refusal : public ::testing::Test {
 protected:
  std::string message_of(const Result<BootState>& result) {
    EXPECT_FALSE(result.has_value());
    if (result) return "(it was accepted)";
    EXPECT_THAT(result.error().message, Not(HasSubstr("\n")));
    return result.error().message;
  }
  std::string why(const Bytes& kernel) { return message_of(load_kernel_file(memory_, file_of(kernel), nullptr, {})); }
  std::string why(const ElfBuilder& kernel) { return why(kernel.build()); }
  std::string why_path(const std::string& path) {
    BootConfig config;
    config.kernel = path;
    return message_of(load_kernel(memory_, config));
  }
  std::string directory_ = ::testing::TempDir();
  GuestMemory memory_ = std::move(*GuestMemory::create(16 * MiB, layout::kHole));
};

ElfBuilder sound_elf() {
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(64)).pvh_note(0x100000);
  return elf;
}

TEST_F(Refusal, TheSoundKernelThatTheOthersDifferFromIsAccepted) {
  EXPECT_TRUE(load_kernel_file(memory_, file_of(sound_elf().build()), nullptr, {}).has_value());
}

TEST_F(Refusal, MissingFile) {
  EXPECT_EQ(why_path("/nonexistent/k"),
            "cannot load kernel '/nonexistent/k': cannot open it: No such file or directory; check the path");
}

TEST_F(Refusal, Directory) {
  EXPECT_EQ(why_path(directory_), "cannot load kernel '" + directory_ + "': it is a directory; name a file in it");
}

TEST_F(Refusal, EmptyFile) {
  const std::string path = directory_ + "/twofold-empty-kernel";
  std::ofstream(path).close();
  EXPECT_EQ(why_path(path), "cannot load kernel '" + path + "': the file is empty; build or copy it again");
  ::unlink(path.c_str());
}

TEST_F(Refusal, FifoDoesNotBlock) {
  const std::string path = directory_ + "/twofold-fifo-kernel";
  ::unlink(path.c_str());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(why_path(path), HasSubstr("it is not a regular file"));
  ::unlink(path.c_str());
}

TEST_F(Refusal, NeitherElfNorMultiboot) {
  EXPECT_EQ(why(bytes_of("#!/bin/sh\necho hello\n")),
            "cannot load kernel 'k.elf': not an ELF file (it starts with 23 21 2f 62), and no Multiboot header in its "
            "first 8192 bytes; give a kernel with a PVH note (ELF) or a Multiboot 1 header");
  EXPECT_THAT(why(bytes_of("x")), HasSubstr("it starts with 78)"));
}

TEST_F(Refusal, BzImage) {
  Bytes image(1024);
  std::memcpy(image.data() + 0x202, "HdrS", 4);
  EXPECT_THAT(why(image), HasSubstr("it is a Linux bzImage, which needs a BIOS; give the vmlinux inside it"));
}

TEST_F(Refusal, SixtyFourBitWithoutPvh) {
  ElfBuilder elf(64);
  elf.segment(0x100000, Bytes(64));
  EXPECT_THAT(why(elf), HasSubstr("it is a 64-bit ELF without a PVH note (Xen, type 18)"));
  ElfBuilder with_multiboot(64);
  with_multiboot.segment(0x100000, multiboot_header(3));
  EXPECT_THAT(why(with_multiboot), HasSubstr("it is a 64-bit ELF without a PVH note"));
}

TEST_F(Refusal, ThirtyTwoBitWithoutEither) {
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(64));
  EXPECT_THAT(why(elf), HasSubstr("an ELF file without a PVH note and without a Multiboot header"));
}

TEST_F(Refusal, AnotherProcessor) {
  ElfBuilder elf = sound_elf();
  elf.machine = EM_ARM;
  EXPECT_THAT(why(elf), HasSubstr("it is for another processor (ELF machine 40, class 1)"));
  ElfBuilder wrong_class(64);
  wrong_class.machine = EM_386;
  wrong_class.segment(0x100000, Bytes(64)).pvh_note(0x100000);
  EXPECT_THAT(why(wrong_class), HasSubstr("another processor (ELF machine 3, class 2)"));
}

TEST_F(Refusal, NotLinked) {
  ElfBuilder elf = sound_elf();
  elf.type = ET_REL;
  EXPECT_THAT(why(elf), HasSubstr("it is not an executable (ELF type 1); link it first"));
}

TEST_F(Refusal, TruncatedAnywhere) {
  const Bytes whole = sound_elf().build();
  for (size_t bytes = 1; bytes < whole.size(); ++bytes) {
    const auto result =
        load_kernel_file(memory_, file_of(Bytes(whole.begin(), whole.begin() + static_cast<long>(bytes))), nullptr, {});
    EXPECT_FALSE(result.has_value()) << bytes << " of " << whole.size() << " bytes were accepted";
  }
}

TEST_F(Refusal, TruncatedSegment) {
  ElfBuilder elf = sound_elf();
  elf.segment(0x200000, Bytes(8), 0x5000).claim_file_bytes(0x4000);
  EXPECT_THAT(why(elf), HasSubstr("truncated: segment 2 wants 16384 bytes from offset"));
}

TEST_F(Refusal, TruncatedNotes) {
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(64)).pvh_note(0x100000).claim_file_bytes(4096);
  EXPECT_THAT(why(elf), HasSubstr("truncated: its notes lie beyond the end of the file"));
}

TEST_F(Refusal, TooManyNoteBytes) {
  ElfBuilder elf = sound_elf();
  elf.raw_notes(Bytes(65 * 1024));
  EXPECT_THAT(why(elf), HasSubstr("it has 66560 bytes of notes, and 65536 is the limit"));
}

TEST_F(Refusal, TooManyProgramHeaders) {
  ElfBuilder elf = sound_elf();
  for (int i = 0; i < 200; ++i) elf.segment(0x200000, {});
  EXPECT_THAT(why(elf), HasSubstr("it has 202 program headers, and 128 is the limit"));
}

TEST_F(Refusal, MoreInTheFileThanInMemory) {
  ElfBuilder elf = sound_elf();
  elf.segment(0x200000, Bytes(100), 50);
  EXPECT_THAT(why(elf), HasSubstr("segment 2 has 100 bytes in the file but only 50 in memory"));
}

TEST_F(Refusal, AddressesThatWrap) {
  ElfBuilder elf(64);
  elf.segment(0x100000, Bytes(64)).pvh_note(0x100000).segment(0xfffffffffffff000, Bytes(8), 0x2000);
  EXPECT_THAT(why(elf), HasSubstr("segment 2 of 8192 bytes at 0xfffffffffffff000 runs past the last address"));
}

TEST_F(Refusal, OffsetThatWraps) {
  ElfBuilder elf(64);
  elf.segment(0x100000, Bytes(64)).pvh_note(0x100000);
  elf.segment(0x200000, Bytes(32), 32).claim_offset(0xfffffffffffffff0);
  EXPECT_THAT(why(elf), HasSubstr("truncated: segment 2 wants 32 bytes from offset 18446744073709551600"));
}

TEST_F(Refusal, NothingToLoad) {
  ElfBuilder elf;
  elf.pvh_note(0x100000);
  EXPECT_THAT(why(elf), HasSubstr("it has no segment to load (no PT_LOAD)"));
}

TEST_F(Refusal, PvhNoteWithoutAnAddress) {
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(64)).note("Xen", 18, Bytes(3));
  EXPECT_THAT(why(elf), HasSubstr("its PVH note (Xen, type 18) holds no 32-bit address"));
  Bytes high;
  append(high, uint64_t{0x1'0010'0000});
  ElfBuilder beyond(64);
  beyond.segment(0x100000, Bytes(64)).note("Xen", 18, high);
  EXPECT_THAT(why(beyond), HasSubstr("holds no 32-bit address"));
}

TEST_F(Refusal, EntryOutsideTheSegments) {
  ElfBuilder elf;
  elf.segment(0x100000, Bytes(64)).pvh_note(0x100040);
  EXPECT_THAT(why(elf), HasSubstr("its PVH entry 0x100040 lies in none of its segments"));
  ElfBuilder multiboot;
  multiboot.entry = 0x200000;
  multiboot.segment(0x100000, multiboot_header(0));
  EXPECT_THAT(why(multiboot), HasSubstr("its Multiboot entry 0x200000 lies in none of its segments"));
}

TEST_F(Refusal, SegmentOutsideRam) {
  ElfBuilder elf = sound_elf();
  elf.segment(15 * MiB, Bytes(8), 2 * MiB);
  EXPECT_EQ(why(elf),
            "cannot load kernel 'k.elf': segment 2 at 0xf00000-0x10fffff lies outside the guest's RAM (0x0-0xffffff); "
            "give the guest more --memory, or link the kernel lower");
}

TEST_F(Refusal, SegmentOverTheTables) {
  struct Case {
    uint64_t paddr;
    const char* over;
  };
  for (const Case& c :
       {Case{0x400, "the BIOS data area"}, Case{0x6ff0, "the PVH start info"}, Case{0x20000, "the command line"},
        Case{0x9fbf0, "the MP tables and what a PC reserves"}, Case{0xffff0, "the MP tables and what a PC reserves"}}) {
    ElfBuilder elf = sound_elf();
    elf.segment(c.paddr, Bytes(32));
    EXPECT_THAT(why(elf), HasSubstr(fmt::format(" overlaps {} at ", c.over)));
  }
}

TEST_F(Refusal, SegmentsOverEachOther) {
  ElfBuilder elf = sound_elf();
  elf.segment(0x10003f, Bytes(16));
  EXPECT_THAT(why(elf), HasSubstr("segment 2 at 0x10003f-0x10004e overlaps segment 0 at 0x100000-0x10003f"));
}

TEST_F(Refusal, MultibootAskingForTheUnknown) {
  ElfBuilder elf;
  elf.segment(0x100000, multiboot_header(0x23));
  EXPECT_THAT(why(elf), HasSubstr("its Multiboot header requires features 0x20, which are not known"));
}

TEST_F(Refusal, MultibootHeaderWithoutAWayToLoad) {
  EXPECT_THAT(why(multiboot_header(3)), HasSubstr("a Multiboot header without address fields, but is no ELF file"));
}

TEST_F(Refusal, MultibootHeaderCutOff) {
  Bytes image(8192);
  const Bytes header = multiboot_header(0, {0x100000, 0x100000, 0, 0, 0x100000});
  std::memcpy(image.data() + 8192 - 16, header.data(), 16);
  EXPECT_THAT(why(image), HasSubstr("its Multiboot header is cut off after 16 bytes"));
}

TEST_F(Refusal, MultibootAddressFields) {
  const auto flat = [](const std::vector<uint32_t>& fields) {
    Bytes image = multiboot_header(0, fields);
    image.resize(4096);
    return image;
  };
  EXPECT_THAT(why(flat({0x100000, 0x100010, 0, 0, 0x100000})), HasSubstr("load_addr 0x100010 lies above header_addr"));
  EXPECT_THAT(why(flat({0x100000, 0xff000, 0, 0, 0x100000})),
              HasSubstr("they want 4096 bytes ahead of the header, but the file has 0"));
  EXPECT_THAT(why(flat({0x100000, 0x100000, 0x100000, 0, 0x100000})), HasSubstr("load_end_addr 0x100000 is not above"));
  EXPECT_THAT(why(flat({0x100000, 0x100000, 0x102000, 0, 0x100000})),
              HasSubstr("truncated: its Multiboot address fields want 8192 bytes from offset 0"));
  EXPECT_THAT(why(flat({0x100000, 0x100000, 0, 0x100800, 0x100000})),
              HasSubstr("bss_end_addr 0x100800 lies below the end of the data, 0x101000"));
  EXPECT_THAT(why(flat({0x100000, 0x100000, 0, 0, 0x101000})), HasSubstr("its Multiboot entry 0x101000 lies in none"));
  EXPECT_THAT(why(flat({0xfffff800, 0xfffff800, 0, 0, 0xfffff800})), HasSubstr("lies outside the guest's RAM"));
}

TEST_F(Refusal, CommandLineTooLong) {
  BootConfig config;
  config.cmdline = std::string(layout::kCmdlineBytes, 'x');
  const std::string message = message_of(load_kernel_file(memory_, file_of(sound_elf().build()), nullptr, config));
  EXPECT_THAT(message, HasSubstr("its command line has 16384 bytes, and 16383 is the limit; shorten --append"));
}

TEST_F(Refusal, TooManyCpus) {
  for (const uint32_t cpus : {0u, layout::kMaxCpus + 1}) {
    BootConfig config;
    config.cpus = cpus;
    const std::string message = message_of(load_kernel_file(memory_, file_of(sound_elf().build()), nullptr, config));
    EXPECT_THAT(message, HasSubstr(fmt::format("cannot describe {} CPUs to the guest: 1 to 8 are possible", cpus)));
  }
}

TEST_F(Refusal, TooLittleMemory) {
  for (const uint64_t bytes : {4 * KiB, 512 * KiB, 1 * MiB}) {
    auto memory = GuestMemory::create(bytes, layout::kHole);
    ASSERT_TRUE(memory.has_value());
    const auto result = load_kernel_file(*memory, file_of(sound_elf().build()), nullptr, {});
    EXPECT_THAT(message_of(result), HasSubstr("give it --memory 2M or more"));
  }
}

TEST_F(Refusal, InitrdMissing) {
  const std::string path = directory_ + "/twofold-sound-kernel";
  const Bytes kernel = sound_elf().build();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(kernel.data()), static_cast<long>(kernel.size()));
  BootConfig config;
  config.kernel = path;
  config.initrd = "/nonexistent/rd";
  EXPECT_THAT(message_of(load_kernel(memory_, config)),
              StartsWith("cannot load initrd '/nonexistent/rd': cannot open"));
  ::unlink(path.c_str());
}

TEST_F(Refusal, InitrdLargerThanRam) {
  UniqueFd fd(::memfd_create("rd", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(1 * GiB)), 0);
  const auto initrd = BootFile::adopt("initrd", "rd.img", std::move(fd));
  ASSERT_TRUE(initrd.has_value());
  const auto result = load_kernel_file(memory_, file_of(sound_elf().build()), &*initrd, {});
  EXPECT_EQ(message_of(result),
            "cannot load initrd 'rd.img': no room for its 1 GiB between the kernel and 0x1000000, and the guest has "
            "16 MiB of memory; give it more --memory, or make the file smaller");
}

TEST_F(Refusal, InitrdPathTooLongForMultiboot) {
  ElfBuilder elf;
  elf.segment(0x100000, multiboot_header(0));
  const BootFile initrd = file_of(bytes_of("rd"), "initrd", std::string(4000, 'p'));
  EXPECT_THAT(message_of(load_kernel_file(memory_, file_of(elf.build()), &initrd, {})),
              HasSubstr("its path of 4000 bytes is too long"));
}

TEST_F(Refusal, FileThatShrinksWhileRead) {
  UniqueFd fd(::memfd_create("shrinks", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  const int raw = fd.get();
  const auto file = BootFile::adopt("kernel", "k", std::move(fd));
  ASSERT_TRUE(file.has_value());
  ASSERT_EQ(::ftruncate(raw, 100), 0);
  Bytes buffer(200);
  const auto result = file->read_at(0, buffer);
  ASSERT_FALSE(result.has_value());
  EXPECT_THAT(result.error().message, HasSubstr("it ended at offset 100 while being read"));
}

}  // namespace
}  // namespace twofold::test
