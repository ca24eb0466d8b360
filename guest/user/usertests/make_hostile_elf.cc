// make_hostile_elf DIRECTORY PROGRAM: writes the files that usertests tries to exec. Runs on the host.
//
// Each hostile file is the good one with one thing wrong, so that this one thing must be what the kernel refuses.
// The mutants have random bytes in their headers: with them nothing is promised but that the kernel lives on.
#include <elf.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kTextBase = 0x1000;
constexpr int kMutants = 48;

using Bytes = std::vector<uint8_t>;

// mov $42, %ebx; mov $3, %eax; int $0x40: exit(42).
const Bytes kExit42 = {0xbb, 42, 0, 0, 0, 0xb8, 3, 0, 0, 0, 0xcd, 0x40};

// Exits with 1 if a general register is not zero at the start, ESP aside, or else with 0.
const Bytes kRegistersAreZero = {
    0x09, 0xd8,              // or    %ebx, %eax
    0x09, 0xc8,              // or    %ecx, %eax
    0x09, 0xd0,              // or    %edx, %eax
    0x09, 0xf0,              // or    %esi, %eax
    0x09, 0xf8,              // or    %edi, %eax
    0x09, 0xe8,              // or    %ebp, %eax
    0x0f, 0x95, 0xc3,        // setne %bl
    0x0f, 0xb6, 0xdb,        // movzx %bl, %ebx
    0xb8, 0x03, 0,    0, 0,  // mov   $3, %eax
    0xcd, 0x40,              // int   $0x40
};

// Exits with the byte just behind the code: past p_filesz in the file there is 0x77, in memory there must be 0.
const Bytes kBytePastEnd = {
    0x0f, 0xb6, 0x1d, 0x0e, 0x10, 0, 0,  // movzbl 0x100e, %ebx
    0xb8, 0x03, 0,    0,    0,           // mov    $3, %eax
    0xcd, 0x40,                          // int    $0x40
};
static_assert(kTextBase + 14 == 0x100e);

// Writes a byte of its first page and exits with it, which is 42.
const Bytes kWriteFirstPage = {
    0xc6, 0x05, 0x00, 0x18, 0,    0, 42,  // movb   $42, 0x1800
    0x0f, 0xb6, 0x1d, 0x00, 0x18, 0, 0,   // movzbl 0x1800, %ebx
    0xb8, 0x03, 0,    0,    0,            // mov    $3, %eax
    0xcd, 0x40,                           // int    $0x40
};

// A file with one segment at kTextBase that holds `code`.
struct Program {
  Elf32_Ehdr header = {};
  std::vector<Elf32_Phdr> segments;
  Bytes code;

  explicit Program(const Bytes& bytes) : segments(1), code(bytes) {
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS32;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = EM_386;
    header.e_version = EV_CURRENT;
    header.e_entry = kTextBase;
    header.e_phoff = sizeof(Elf32_Ehdr);
    header.e_ehsize = sizeof(Elf32_Ehdr);
    header.e_phentsize = sizeof(Elf32_Phdr);
    header.e_phnum = 1;
    const auto size = static_cast<Elf32_Word>(code.size());
    segments[0] = {PT_LOAD, kTextBase, kTextBase, kTextBase, size, size, PF_R | PF_X, kTextBase};
  }

  [[nodiscard]] Bytes build() const {
    Bytes file(kTextBase + code.size());
    memcpy(file.data(), &header, sizeof(header));
    memcpy(file.data() + sizeof(header), segments.data(), segments.size() * sizeof(Elf32_Phdr));
    memcpy(file.data() + kTextBase, code.data(), code.size());
    return file;
  }
};

using Change = std::function<void(Elf32_Ehdr&, std::vector<Elf32_Phdr>&)>;

struct Hostile {
  const char* name;
  Change change;
};

#define CHANGE [](Elf32_Ehdr & h [[maybe_unused]], std::vector<Elf32_Phdr> & s [[maybe_unused]])

const Hostile kHostile[] = {{"bad_magic", CHANGE{h.e_ident[0] = 'E';
}  // namespace
}
, {"class_64", CHANGE{h.e_ident[EI_CLASS] = ELFCLASS64;
}
}
, {"big_endian", CHANGE{h.e_ident[EI_DATA] = ELFDATA2MSB;
}
}
, {"other_machine", CHANGE{h.e_machine = EM_X86_64;
}
}
, {"relocatable", CHANGE{h.e_type = ET_REL;
}
}
, {"shared_object", CHANGE{h.e_type = ET_DYN;
}
}
, {"no_segments", CHANGE{h.e_phnum = 0;
}
}
, {"no_load_segment", CHANGE{s[0].p_type = PT_NOTE;
}
}
, {"many_segments", CHANGE{h.e_phnum = 0xffff;
}
}
, {"segment_table_past_end", CHANGE{h.e_phoff = 0x100000;
}
}
, {"segment_table_wraps", CHANGE{h.e_phoff = 0xfffffff0;
}
}
, {"segment_entry_size", CHANGE{h.e_phentsize = 8;
}
}
, {"offset_past_end", CHANGE{s[0].p_offset = 0x100000;
}
}
, {"offset_wraps", CHANGE{s[0].p_offset = 0xfffff000;
}
}
, {"size_past_end", CHANGE{s[0].p_filesz = s[0].p_memsz = 0x8000;
}
}
, {"size_wraps", CHANGE{s[0].p_filesz = s[0].p_memsz = 0xfffff000;
}
}
, {"file_over_memory", CHANGE{s[0].p_memsz = 4;
}
}
, {"at_null", CHANGE{s[0].p_vaddr = 0;
}
}
, {"in_kernel", CHANGE{s[0].p_vaddr = 0x80100000;
}
}
, {"at_kernel_base", CHANGE{s[0].p_vaddr = 0x80000000;
}
}
, {"into_kernel", CHANGE{s[0].p_vaddr = 0x7ffff000;
s[0].p_memsz = 0x2000;
}
}
, {"in_stack", CHANGE{s[0].p_vaddr = 0x7fff0000;
}
}
, {"into_stack", CHANGE{s[0].p_vaddr = 0x7feff000;
s[0].p_memsz = 0x2000;
}
}
, {"address_wraps", CHANGE{s[0].p_vaddr = 0xfffff000;
s[0].p_memsz = 0x3000;
}
}
, {"memory_wraps", CHANGE{s[0].p_memsz = 0xfffff000;
}
}
, {"memory_to_kernel", CHANGE{s[0].p_memsz = 0x7ffff000;
}
}
, {"entry_null", CHANGE{h.e_entry = 0;
}
}
, {"entry_in_kernel", CHANGE{h.e_entry = 0x80100000;
}
}
, {"entry_unmapped", CHANGE{h.e_entry = 0x40000000;
}
}
,
}
;

void write_file(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) {
    fprintf(stderr, "make_hostile_elf: cannot write %s\n", path.c_str());
    std::_Exit(1);
  }
}

Bytes read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.empty()) {
    fprintf(stderr, "make_hostile_elf: cannot read %s\n", path);
    std::_Exit(1);
  }
  return bytes;
}

Bytes first_part(const Bytes& bytes, size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<long>(size)};
}

void write_truncated(const std::string& folder, const Bytes& good) {
  write_file(folder + "empty", {});
  write_file(folder + "one_byte", first_part(good, 1));
  write_file(folder + "magic_only", first_part(good, SELFMAG));
  write_file(folder + "header_cut", first_part(good, sizeof(Elf32_Ehdr) - 1));
  write_file(folder + "header_only", first_part(good, sizeof(Elf32_Ehdr)));
  write_file(folder + "segment_table_cut", first_part(good, sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr) - 1));
  write_file(folder + "headers_only", first_part(good, sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr)));
  write_file(folder + "last_byte_cut", first_part(good, good.size() - 1));
  const std::string text = "#!/bin/sh\necho this is no program\n";
  write_file(folder + "text", Bytes(text.begin(), text.end()));
}

// The code's page is also the writable segment's, which comes second and writes its bytes there from the file.
Bytes page_of_two_segments() {
  Program program(kWriteFirstPage);
  program.segments.push_back({PT_LOAD, kTextBase, 0x1800, 0x1800, 4, 16, PF_R | PF_W, kTextBase});
  program.header.e_phnum = 2;
  return program.build();
}

// The same on every machine and run: the generator and its use are defined to the bit.
void write_mutants(const std::string& folder, const Bytes& good) {
  std::mt19937 random(20240607);
  for (int i = 0; i < kMutants; ++i) {
    Bytes mutant = good;
    const uint32_t changes = 1 + random() % 3;
    for (uint32_t change = 0; change < changes; ++change) {
      // Past the identification, which would be refused at once.
      const uint32_t span = sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr) - EI_NIDENT;
      mutant[EI_NIDENT + random() % span] = static_cast<uint8_t>(random());
    }
    char name[16];
    snprintf(name, sizeof(name), "mutant%02d", i);
    write_file(folder + name, mutant);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: make_hostile_elf DIRECTORY PROGRAM\n");
    return 1;
  }
  const std::string folder = std::string(argv[1]) + "/";
  const Bytes good = Program(kExit42).build();
  write_file(folder + "good", good);
  write_file(folder + "registers", Program(kRegistersAreZero).build());
  const Bytes program = read_file(argv[2]);
  write_file(folder + "program_cut", first_part(program, program.size() / 2));

  Program zero_fill(kBytePastEnd);
  zero_fill.segments[0].p_memsz = 0x3000;
  Bytes zero_fill_file = zero_fill.build();
  zero_fill_file.insert(zero_fill_file.end(), 0x3000, 0x77);
  write_file(folder + "zero_fill", zero_fill_file);

  write_file(folder + "page_of_two_segments", page_of_two_segments());

  write_truncated(folder, good);
  for (const Hostile& hostile : kHostile) {
    Program changed(kExit42);
    hostile.change(changed.header, changed.segments);
    write_file(folder + hostile.name, changed.build());
  }
  write_mutants(folder, good);
  return 0;
}
