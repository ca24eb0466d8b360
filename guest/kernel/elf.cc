#include "guest/kernel/elf.h"

#include "guest/abi/abi.h"
#include "guest/kernel/string.h"

namespace twofold::kernel {
namespace {

// System V ABI, "Object Files". Names as in elf.h.
struct Elf32_Ehdr {
  uint8_t e_ident[16];
  uint16_t e_type;
  uint16_t e_machine;
  uint32_t e_version;
  uint32_t e_entry;
  uint32_t e_phoff;
  uint32_t e_shoff;
  uint32_t e_flags;
  uint16_t e_ehsize;
  uint16_t e_phentsize;
  uint16_t e_phnum;
  uint16_t e_shentsize;
  uint16_t e_shnum;
  uint16_t e_shstrndx;
};
static_assert(sizeof(Elf32_Ehdr) == 52);

struct Elf32_Phdr {
  uint32_t p_type;
  uint32_t p_offset;
  uint32_t p_vaddr;
  uint32_t p_paddr;
  uint32_t p_filesz;
  uint32_t p_memsz;
  uint32_t p_flags;
  uint32_t p_align;
};
static_assert(sizeof(Elf32_Phdr) == 32);

constexpr uint8_t kIdent[] = {0x7f, 'E', 'L', 'F', 1 /* 32-bit */, 1 /* little-endian */, 1 /* version */};
constexpr uint16_t ET_EXEC = 2;
constexpr uint16_t EM_386 = 3;
constexpr uint32_t PT_LOAD = 1;
constexpr uint32_t PT_INTERP = 3;
constexpr uint32_t PF_W = 2;

// Whether [start, start + length) lies in [low, high). No sum overflows.
bool inside(uint32_t start, uint32_t length, uint32_t low, uint32_t high) {
  return start >= low && start <= high && length <= high - start;
}

// Declares the segment's pages to the space, which fetches none of them yet.
int32_t declare_segment(AddressSpace& space, const uint8_t* image, uint32_t size, const Elf32_Phdr& header) {
  if (header.p_memsz == 0 && header.p_filesz == 0) return 0;
  if (header.p_filesz > header.p_memsz || !inside(header.p_offset, header.p_filesz, 0, size) ||
      !inside(header.p_vaddr, header.p_memsz, kUserTextBase, kStackBottom)) {
    return -guest_abi::kENoexec;
  }
  const AddressSpace::Segment segment{page_round_down(header.p_vaddr),
                                      page_round_up(header.p_vaddr + header.p_memsz),
                                      (header.p_flags & PF_W) != 0,
                                      header.p_vaddr,
                                      header.p_filesz,
                                      image + header.p_offset};
  return space.add_segment(segment) ? 0 : -guest_abi::kENoexec;
}

// REQUIRES: the whole table lies in the image
Elf32_Phdr read_header(const uint8_t* image, const Elf32_Ehdr& header, uint32_t index) {
  Elf32_Phdr out;
  memcpy(&out, image + header.e_phoff + index * sizeof(out), sizeof(out));
  return out;
}

}  // namespace

int32_t load_elf(AddressSpace& space, const uint8_t* image, uint32_t size, UserAddr* entry) {
  Elf32_Ehdr header;
  if (size < sizeof(header)) return -guest_abi::kENoexec;
  memcpy(&header, image, sizeof(header));  // the archive aligns nothing
  if (memcmp(header.e_ident, kIdent, sizeof(kIdent)) != 0 || header.e_type != ET_EXEC || header.e_machine != EM_386 ||
      header.e_phentsize != sizeof(Elf32_Phdr) ||
      !inside(header.e_phoff, header.e_phnum * sizeof(Elf32_Phdr), 0, size)) {
    return -guest_abi::kENoexec;
  }
  bool entry_inside = false;
  for (uint32_t i = 0; i < header.e_phnum; ++i) {
    const Elf32_Phdr segment = read_header(image, header, i);
    if (segment.p_type == PT_INTERP) return -guest_abi::kENoexec;
    if (segment.p_type != PT_LOAD) continue;
    if (const int32_t error = declare_segment(space, image, size, segment); error != 0) return error;
    entry_inside = entry_inside || (header.e_entry - segment.p_vaddr < segment.p_memsz);
  }
  if (!entry_inside) return -guest_abi::kENoexec;
  *entry = header.e_entry;
  return 0;
}

}  // namespace twofold::kernel
