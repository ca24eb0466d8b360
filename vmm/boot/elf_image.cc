#include "vmm/boot/elf_image.h"

#include <gelf.h>
#include <libelf.h>

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

#include "guest/abi/abi.h"
#include "vmm/boot/pvh.h"

namespace twofold {

namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { ::elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfEnd>;

constexpr const char* kRebuild = "build or copy it again";

tl::unexpected<Error> broken(const BootFile& file, std::string_view what) {
  return fail("{}: {} ({}); {}", file.complaint(), what, ::elf_errmsg(-1), kRebuild);
}

bool inside_file(const BootFile& file, uint64_t offset, uint64_t bytes) {
  return offset <= file.bytes() && bytes <= file.bytes() - offset;
}

Status check_header(const BootFile& file, const GElf_Ehdr& header) {
  const int elf_class = header.e_ident[EI_CLASS];
  const bool x86 =
      header.e_ident[EI_DATA] == ELFDATA2LSB && ((elf_class == ELFCLASS32 && header.e_machine == EM_386) ||
                                                 (elf_class == ELFCLASS64 && header.e_machine == EM_X86_64));
  if (!x86) {
    return fail("{}: it is for another processor (ELF machine {}, class {}); build it for i386 or x86-64",
                file.complaint(), header.e_machine, elf_class);
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    return fail("{}: it is not an executable (ELF type {}); link it first", file.complaint(), header.e_type);
  }
  return {};
}

Result<ElfSegment> check_segment(const BootFile& file, size_t number, const GElf_Phdr& header) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  if (!inside_file(file, header.p_offset, header.p_filesz)) {
    return fail("{}: truncated: segment {} wants {} bytes from offset {}, but the file has {} bytes; {}",
                file.complaint(), number, header.p_filesz, header.p_offset, file.bytes(), kRebuild);
  }
  if (header.p_filesz > header.p_memsz) {
    return fail("{}: segment {} has {} bytes in the file but only {} in memory; {}", file.complaint(), number,
                header.p_filesz, header.p_memsz, kRebuild);
  }
  if (header.p_memsz > kMax - header.p_paddr) {
    return fail("{}: segment {} of {} bytes at {:#x} runs past the last address; link it lower", file.complaint(),
                number, header.p_memsz, header.p_paddr);
  }
  return ElfSegment{number, header.p_offset, header.p_filesz, Gpa{header.p_paddr}, header.p_vaddr, header.p_memsz};
}

// A descriptor of 4 or 8 bytes as a number: Linux writes PVH's entry with the width of its own pointers.
std::optional<uint64_t> descriptor_value(std::span<const std::byte> descriptor) {
  if (descriptor.size() != 4 && descriptor.size() != 8) return std::nullopt;
  uint64_t value = 0;
  std::memcpy(&value, descriptor.data(), descriptor.size());  // little endian, like the host
  return value;
}

Status take_note(const BootFile& file, std::string_view owner, uint32_t type, std::span<const std::byte> descriptor,
                 ElfImage& image) {
  const auto value = descriptor_value(descriptor);
  if (owner == "Xen" && type == XEN_ELFNOTE_PHYS32_ENTRY) {
    if (!value || *value > std::numeric_limits<uint32_t>::max()) {
      return fail("{}: its PVH note (Xen, type {}) holds no 32-bit address; {}", file.complaint(),
                  XEN_ELFNOTE_PHYS32_ENTRY, kRebuild);
    }
    image.pvh_entry = static_cast<uint32_t>(*value);
  }
  if (owner == guest_abi::kInspectNoteName && type == guest_abi::kInspectNoteType && value) {
    image.inspect_table = Gpa{*value};
  }
  return {};
}

Status read_notes(const BootFile& file, Elf* elf, const GElf_Phdr& header, ElfImage& image) {
  if (header.p_filesz == 0) return {};
  if (!inside_file(file, header.p_offset, header.p_filesz)) {
    return fail("{}: truncated: its notes lie beyond the end of the file; {}", file.complaint(), kRebuild);
  }
  if (header.p_filesz > kMaxNoteBytes) {
    return fail("{}: it has {} bytes of notes, and {} is the limit; strip those it does not need", file.complaint(),
                header.p_filesz, kMaxNoteBytes);
  }
  Elf_Data* data = ::elf_getdata_rawchunk(elf, static_cast<int64_t>(header.p_offset), header.p_filesz,
                                          header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
  if (data == nullptr) return broken(file, "its notes cannot be read");
  const std::span bytes(static_cast<const std::byte*>(data->d_buf), data->d_size);
  GElf_Nhdr note = {};
  size_t name = 0;
  size_t descriptor = 0;
  for (size_t at = 0; (at = ::gelf_getnote(data, at, &note, &name, &descriptor)) > 0;) {
    // gelf_getnote has checked that both lie inside. The owner's name counts its NUL.
    const auto* owner = reinterpret_cast<const char*>(bytes.data() + name);
    const std::string_view owner_name(owner, ::strnlen(owner, note.n_namesz));
    if (auto ok = take_note(file, owner_name, note.n_type, bytes.subspan(descriptor, note.n_descsz), image); !ok) {
      return ok;
    }
  }
  return {};
}

Status read_program_headers(const BootFile& file, Elf* elf, size_t count, ElfImage& image) {
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr header = {};
    if (::gelf_getphdr(elf, static_cast<int>(i), &header) == nullptr) {
      return broken(file, "truncated: its program headers lie beyond the end of the file");
    }
    if (header.p_type == PT_NOTE) {
      if (auto ok = read_notes(file, elf, header, image); !ok) return ok;
    }
    if (header.p_type != PT_LOAD || header.p_memsz + header.p_filesz == 0) continue;
    auto segment = check_segment(file, i, header);
    if (!segment) return pass_on(segment);
    image.segments.push_back(*segment);
  }
  return {};
}

}  // namespace

uint64_t ElfImage::physical_entry() const {
  for (const ElfSegment& segment : segments) {
    if (entry >= segment.vaddr && entry - segment.vaddr < segment.memory_bytes) {
      return entry - segment.vaddr + segment.paddr.value;
    }
  }
  return entry;
}

Result<bool> is_elf(const BootFile& file) {
  std::array<std::byte, SELFMAG> magic = {};
  if (file.bytes() < magic.size()) return false;
  if (auto ok = file.read_at(0, magic); !ok) return pass_on(ok);
  return std::memcmp(magic.data(), ELFMAG, SELFMAG) == 0;
}

Result<ElfImage> parse_elf(const BootFile& file) {
  if (::elf_version(EV_CURRENT) == EV_NONE) return broken(file, "this libelf is too old for it");
  // Not ELF_C_READ_MMAP: a file that shrinks while mapped kills its reader.
  const ElfHandle elf(::elf_begin(file.fd(), ELF_C_READ, nullptr));
  if (elf == nullptr || ::elf_kind(elf.get()) != ELF_K_ELF) return broken(file, "truncated or not an ELF file");

  GElf_Ehdr header = {};
  if (::gelf_getehdr(elf.get(), &header) == nullptr) return broken(file, "its ELF header is broken");
  if (auto ok = check_header(file, header); !ok) return pass_on(ok);
  size_t count = 0;
  if (::elf_getphdrnum(elf.get(), &count) != 0) return broken(file, "truncated: its program headers cannot be counted");
  if (count > kMaxSegments) {
    return fail("{}: it has {} program headers, and {} is the limit; link it with fewer segments", file.complaint(),
                count, kMaxSegments);
  }

  ElfImage image;
  image.is_64bit = header.e_ident[EI_CLASS] == ELFCLASS64;
  image.entry = header.e_entry;
  if (auto ok = read_program_headers(file, elf.get(), count, image); !ok) return pass_on(ok);
  if (image.segments.empty()) {
    return fail("{}: it has no segment to load (no PT_LOAD); link it as an executable", file.complaint());
  }
  return image;
}

}  // namespace twofold
