#include "vmm/boot/multiboot.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <vector>

#include "vmm/boot/memory_map.h"
#include "vmm/memory/layout.h"

namespace twofold {

namespace {

// Multiboot 0.6.96 §3.1 (header) and §3.3 (information). Names as in the specification's multiboot.h.
constexpr uint32_t MULTIBOOT_HEADER_MAGIC = 0x1badb002;
constexpr uint32_t MULTIBOOT_VIDEO_MODE = 0x00000004;
constexpr uint32_t MULTIBOOT_AOUT_KLUDGE = 0x00010000;
constexpr uint32_t kKnownRequirements = 0x7;   // page-aligned modules, memory information, video mode
constexpr uint32_t kRequirementBits = 0xffff;  // a loader must refuse what it does not know among these

constexpr uint32_t MULTIBOOT_INFO_MEMORY = 1u << 0;
constexpr uint32_t MULTIBOOT_INFO_CMDLINE = 1u << 2;
constexpr uint32_t MULTIBOOT_INFO_MODS = 1u << 3;
constexpr uint32_t MULTIBOOT_INFO_MEM_MAP = 1u << 6;
constexpr uint32_t MULTIBOOT_INFO_BOOT_LOADER_NAME = 1u << 9;

constexpr char kLoaderName[] = "twofold";

struct multiboot_header {
  uint32_t magic;
  uint32_t flags;
  uint32_t checksum;
};

struct multiboot_address_fields {
  uint32_t header_addr;
  uint32_t load_addr;
  uint32_t load_end_addr;
  uint32_t bss_end_addr;
  uint32_t entry_addr;
};

struct multiboot_info {
  uint32_t flags;
  uint32_t mem_lower;
  uint32_t mem_upper;
  uint32_t boot_device;
  uint32_t cmdline;
  uint32_t mods_count;
  uint32_t mods_addr;
  uint32_t syms[4];
  uint32_t mmap_length;
  uint32_t mmap_addr;
  uint32_t drives_length;
  uint32_t drives_addr;
  uint32_t config_table;
  uint32_t boot_loader_name;
  uint32_t apm_table;
  uint32_t vbe[4];
};
static_assert(sizeof(multiboot_info) == 88);

struct multiboot_mod_list {
  uint32_t mod_start;
  uint32_t mod_end;  // one past the last byte
  uint32_t cmdline;
  uint32_t pad;
};

struct __attribute__((packed)) multiboot_mmap_entry {
  uint32_t size;  // of what follows
  uint64_t addr;
  uint64_t len;
  uint32_t type;
};
static_assert(sizeof(multiboot_mmap_entry) == 24);

template <typename T>
T load_from(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// §3.1.3: what the address fields say, checked against themselves and the file.
Result<MultibootAddresses> check_addresses(const BootFile& file, uint64_t header_offset,
                                           const multiboot_address_fields& fields) {
  const auto wrong = [&](const std::string& why) {
    return fail("{}: its Multiboot address fields are wrong: {}; mend them in the kernel", file.complaint(), why);
  };
  if (fields.load_addr > fields.header_addr) {
    return wrong(fmt::format("load_addr {:#x} lies above header_addr {:#x}", fields.load_addr, fields.header_addr));
  }
  const uint64_t before_header = fields.header_addr - fields.load_addr;
  if (before_header > header_offset) {
    return wrong(
        fmt::format("they want {} bytes ahead of the header, but the file has {}", before_header, header_offset));
  }
  MultibootAddresses addresses;
  addresses.file_offset = header_offset - before_header;
  addresses.load = Gpa{fields.load_addr};
  addresses.entry = fields.entry_addr;
  const uint64_t available = file.bytes() - addresses.file_offset;
  if (fields.load_end_addr != 0 && fields.load_end_addr <= fields.load_addr) {
    return wrong(
        fmt::format("load_end_addr {:#x} is not above load_addr {:#x}", fields.load_end_addr, fields.load_addr));
  }
  addresses.file_bytes = fields.load_end_addr != 0 ? fields.load_end_addr - fields.load_addr : available;
  if (addresses.file_bytes > available) {
    return fail(
        "{}: truncated: its Multiboot address fields want {} bytes from offset {}, but the file has {} bytes; "
        "build or copy it again",
        file.complaint(), addresses.file_bytes, addresses.file_offset, file.bytes());
  }
  addresses.memory_bytes = addresses.file_bytes;
  if (fields.bss_end_addr != 0) {
    const uint64_t load_end = fields.load_addr + addresses.file_bytes;
    if (fields.bss_end_addr < load_end) {
      return wrong(
          fmt::format("bss_end_addr {:#x} lies below the end of the data, {:#x}", fields.bss_end_addr, load_end));
    }
    addresses.memory_bytes = fields.bss_end_addr - fields.load_addr;
  }
  return addresses;
}

Result<MultibootHeader> check_header(const BootFile& file, std::span<const std::byte> bytes, size_t offset) {
  MultibootHeader header;
  header.offset = offset;
  header.flags = load_from<multiboot_header>(bytes, offset).flags;
  const uint32_t unknown = header.flags & kRequirementBits & ~kKnownRequirements;
  if (unknown != 0) {
    return fail("{}: its Multiboot header requires features {:#x}, which are not known; clear those flags",
                file.complaint(), unknown);
  }
  if ((header.flags & MULTIBOOT_VIDEO_MODE) != 0) {
    spdlog::warn("kernel '{}' asks for a video mode; there is no display, it is started without one", file.path());
  }
  if ((header.flags & MULTIBOOT_AOUT_KLUDGE) == 0) return header;

  const size_t fields_at = offset + sizeof(multiboot_header);
  if (bytes.size() - fields_at < sizeof(multiboot_address_fields)) {
    return fail("{}: its Multiboot header is cut off after {} bytes; it must lie wholly in the first {} bytes",
                file.complaint(), bytes.size() - offset, kMultibootSearchBytes);
  }
  auto addresses = check_addresses(file, offset, load_from<multiboot_address_fields>(bytes, fields_at));
  if (!addresses) return pass_on(addresses);
  header.addresses = *addresses;
  return header;
}

// Lays the structure and what it points to one after another into one page, and tracks what is left of it.
class InfoPage {
 public:
  explicit InfoPage(std::span<std::byte> page) : page_(page) {}

  // The GPA of `bytes` copied in, 8-byte aligned; 0 if they do not fit.
  uint32_t append(std::span<const std::byte> bytes) {
    const size_t at = align_up(used_, 8);
    if (at > page_.size() || bytes.size() > page_.size() - at) return 0;
    std::memcpy(page_.data() + at, bytes.data(), bytes.size());
    used_ = at + bytes.size();
    return static_cast<uint32_t>(layout::kMultibootInfo + at);
  }
  uint32_t append_text(const std::string& text) {  // with its NUL
    return append(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  }

 private:
  std::span<std::byte> page_;
  size_t used_ = sizeof(multiboot_info);
};

}  // namespace

Result<std::optional<MultibootHeader>> find_multiboot_header(const BootFile& file) {
  std::vector<std::byte> bytes(std::min(file.bytes(), kMultibootSearchBytes));
  if (auto ok = file.read_at(0, bytes); !ok) return pass_on(ok);
  for (size_t at = 0; at + sizeof(multiboot_header) <= bytes.size(); at += 4) {
    const auto header = load_from<multiboot_header>(bytes, at);
    if (header.magic != MULTIBOOT_HEADER_MAGIC || header.magic + header.flags + header.checksum != 0) continue;
    auto checked = check_header(file, bytes, at);
    if (!checked) return pass_on(checked);
    return *checked;
  }
  return std::nullopt;
}

Result<Gpa> write_multiboot_info(const GuestMemory& memory, Gpa cmdline, const std::optional<MultibootModule>& module) {
  const auto bytes = memory.at(Gpa{layout::kMultibootInfo}, layout::kMultibootInfoBytes);
  if (bytes.empty()) return fail("cannot write the Multiboot information: no RAM at {:#x}", layout::kMultibootInfo);
  InfoPage page(bytes);
  multiboot_info info = {};
  info.flags = MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_MODS | MULTIBOOT_INFO_MEM_MAP |
               MULTIBOOT_INFO_BOOT_LOADER_NAME;
  info.cmdline = static_cast<uint32_t>(cmdline.value);

  // KiB from 0 and from 1 MiB, each up to the first gap.
  const RamRange low = memory.ranges().front();
  info.mem_lower = static_cast<uint32_t>(layout::kEbda / 1024);
  info.mem_upper = static_cast<uint32_t>((low.end().value - layout::kHighMemory) / 1024);

  std::vector<multiboot_mmap_entry> map;
  for (const MemoryMapEntry& entry : memory_map(memory)) {
    map.push_back({sizeof(multiboot_mmap_entry) - sizeof(uint32_t), entry.base.value, entry.bytes,
                   static_cast<uint32_t>(entry.type)});
  }
  info.mmap_length = static_cast<uint32_t>(map.size() * sizeof(multiboot_mmap_entry));
  info.mmap_addr = page.append(std::as_bytes(std::span(map)));
  info.boot_loader_name = page.append_text(kLoaderName);

  if (module) {
    multiboot_mod_list entry = {};
    entry.mod_start = static_cast<uint32_t>(module->range.base.value);
    entry.mod_end = static_cast<uint32_t>(module->range.end().value);
    entry.cmdline = page.append_text(module->name);
    if (entry.cmdline == 0) {
      return fail("cannot tell the kernel of initrd '{}': its path of {} bytes is too long; move it to a shorter one",
                  module->name, module->name.size());
    }
    info.mods_count = 1;
    info.mods_addr = page.append(std::as_bytes(std::span(&entry, 1)));
    if (info.mods_addr == 0) {
      return fail("cannot tell the kernel of initrd '{}': its path of {} bytes is too long; move it to a shorter one",
                  module->name, module->name.size());
    }
  }
  std::memcpy(bytes.data(), &info, sizeof info);
  return Gpa{layout::kMultibootInfo};
}

}  // namespace twofold
