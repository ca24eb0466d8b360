// Writes the first inputs for fuzz_elf into the directory named: sound kernels of every kind that boots.
#include <cstdio>
#include <fstream>

#include "tests/unit/boot/kernel_files.h"

using namespace twofold::test;

namespace {

bool write(const std::string& directory, const char* name, const Bytes& bytes) {
  std::ofstream file(directory + "/" + name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file.good();
}

Bytes address(uint32_t value) {
  Bytes bytes;
  append(bytes, value);
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  ElfBuilder pvh32, pvh64(64), multiboot, higher_half;
  pvh32.segment(0x100000, Bytes(32)).segment(0x200000, Bytes(8), 0x4000).pvh_note(0x100000);
  pvh32.note("Twofold", 1, address(0x200000));
  pvh64.segment(0x1000000, Bytes(32)).segment(0x1'0000'1000, Bytes(8)).pvh_note(0x1000000);
  multiboot.segment(0x100000, multiboot_header(3));
  higher_half.entry = 0xc0100004;
  higher_half.segment(0x100000, multiboot_header(0), 0x2000, 0xc0000000);
  Bytes flat = multiboot_header(0, {0x200000, 0x200000, 0x200024, 0x210000, 0x200020});
  flat.resize(64);
  const std::string directory = argv[1];
  const bool ok = write(directory, "pvh32", pvh32.build()) && write(directory, "pvh64", pvh64.build()) &&
                  write(directory, "multiboot", multiboot.build()) &&
                  write(directory, "higher_half", higher_half.build()) && write(directory, "flat", flat);
  if (!ok) std::fprintf(stderr, "cannot write seeds into %s\n", argv[1]);
  return ok ? 0 : 1;
}
