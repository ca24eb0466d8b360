// Kernel files made in memory, byte by byte, so that each test has the one flaw that it is about.
#pragma once

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cassert>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "vmm/boot/boot_file.h"

namespace twofold::test {

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& to, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

inline Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// `bytes` as an open file.
inline BootFile file_of(const Bytes& bytes, const std::string& what = "kernel", const std::string& path = "k.elf") {
  UniqueFd fd(::memfd_create("boot-test", MFD_CLOEXEC));
  [[maybe_unused]] const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
  assert(n == static_cast<ssize_t>(bytes.size()));
  auto file = BootFile::adopt(what, path, std::move(fd));
  assert(file.has_value());
  return std::move(*file);
}

// An ELF executable: header, program headers, then the segments' and the notes' bytes.
class ElfBuilder {
 public:
  explicit ElfBuilder(int bits = 32) : bits_(bits) {}

  uint64_t entry = 0x100000;
  uint16_t machine = 0;  // 0: what fits the class
  uint16_t type = ET_EXEC;
  uint8_t data = ELFDATA2LSB;

  // A PT_LOAD of `content`, then zeros up to `memory_bytes` (0: none). vaddr = paddr + `vaddr_offset`.
  ElfBuilder& segment(uint64_t paddr, Bytes content, uint64_t memory_bytes = 0, uint64_t vaddr_offset = 0) {
    Header header;
    header.type = PT_LOAD;
    header.paddr = paddr;
    header.vaddr = paddr + vaddr_offset;
    header.memory_bytes = memory_bytes == 0 ? content.size() : memory_bytes;
    header.content = std::move(content);
    headers_.push_back(std::move(header));
    return *this;
  }

  ElfBuilder& note(const std::string& owner, uint32_t note_type, const Bytes& descriptor) {
    Bytes bytes;
    append(bytes, static_cast<uint32_t>(owner.size() + 1));
    append(bytes, static_cast<uint32_t>(descriptor.size()));
    append(bytes, note_type);
    for (const char c : owner) bytes.push_back(static_cast<std::byte>(c));
    do bytes.push_back(std::byte{0});
    while (bytes.size() % 4 != 0);
    bytes.insert(bytes.end(), descriptor.begin(), descriptor.end());
    while (bytes.size() % 4 != 0) bytes.push_back(std::byte{0});
    return raw_notes(bytes);
  }
  ElfBuilder& raw_notes(const Bytes& bytes) {
    Header header;
    header.type = PT_NOTE;
    header.content = bytes;
    headers_.push_back(std::move(header));
    return *this;
  }
  ElfBuilder& pvh_note(uint32_t address) {
    Bytes descriptor;
    append(descriptor, address);
    return note("Xen", 18, descriptor);
  }
  // Overrides what the last header says its file bytes are, or where they begin.
  ElfBuilder& claim_file_bytes(uint64_t bytes) {
    headers_.back().claimed_file_bytes = bytes;
    headers_.back().claims = true;
    return *this;
  }
  ElfBuilder& claim_offset(uint64_t offset) {
    headers_.back().offset = offset;
    return *this;
  }

  [[nodiscard]] Bytes build() const {
    return bits_ == 32 ? build_as<Elf32_Ehdr, Elf32_Phdr>() : build_as<Elf64_Ehdr, Elf64_Phdr>();
  }

 private:
  struct Header {
    uint32_t type = PT_NULL;
    uint64_t paddr = 0;
    uint64_t vaddr = 0;
    uint64_t memory_bytes = 0;
    uint64_t claimed_file_bytes = 0;
    uint64_t offset = 0;
    bool claims = false;
    Bytes content;
  };

  template <typename Ehdr, typename Phdr>
  [[nodiscard]] Bytes build_as() const {
    Ehdr ehdr = {};
    std::memcpy(ehdr.e_ident, ELFMAG, SELFMAG);
    ehdr.e_ident[EI_CLASS] = bits_ == 32 ? ELFCLASS32 : ELFCLASS64;
    ehdr.e_ident[EI_DATA] = data;
    ehdr.e_ident[EI_VERSION] = EV_CURRENT;
    ehdr.e_type = type;
    ehdr.e_machine = machine != 0 ? machine : bits_ == 32 ? EM_386 : EM_X86_64;
    ehdr.e_version = EV_CURRENT;
    ehdr.e_entry = static_cast<decltype(ehdr.e_entry)>(entry);
    ehdr.e_phoff = sizeof(Ehdr);
    ehdr.e_ehsize = sizeof(Ehdr);
    ehdr.e_phentsize = sizeof(Phdr);
    ehdr.e_phnum = static_cast<uint16_t>(headers_.size());
    Bytes file;
    append(file, ehdr);
    size_t at = sizeof(Ehdr) + headers_.size() * sizeof(Phdr);
    for (const Header& header : headers_) {
      Phdr phdr = {};
      using Word = decltype(phdr.p_filesz);
      phdr.p_type = header.type;
      phdr.p_offset = static_cast<Word>(header.offset != 0 ? header.offset : at);
      phdr.p_paddr = static_cast<Word>(header.paddr);
      phdr.p_vaddr = static_cast<Word>(header.vaddr);
      phdr.p_filesz = static_cast<Word>(header.claims ? header.claimed_file_bytes : header.content.size());
      phdr.p_memsz = static_cast<Word>(header.memory_bytes);
      phdr.p_align = 4;
      append(file, phdr);
      at += header.content.size();
    }
    for (const Header& header : headers_) file.insert(file.end(), header.content.begin(), header.content.end());
    return file;
  }

  int bits_;
  std::vector<Header> headers_;
};

// A Multiboot 1 header; with `fields` (header, load, load end, bss end, entry) flags bit 16 is set.
inline Bytes multiboot_header(uint32_t flags, const std::vector<uint32_t>& fields = {}) {
  if (!fields.empty()) flags |= 0x10000;
  Bytes bytes;
  append(bytes, uint32_t{0x1badb002});
  append(bytes, flags);
  append(bytes, static_cast<uint32_t>(-(0x1badb002 + flags)));
  for (const uint32_t field : fields) append(bytes, field);
  return bytes;
}

}  // namespace twofold::test
