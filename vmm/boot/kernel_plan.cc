#include "vmm/boot/kernel_plan.h"

#include <algorithm>
#include <array>
#include <limits>

#include "vmm/boot/elf_image.h"
#include "vmm/boot/multiboot.h"

namespace twofold {

namespace {

constexpr const char* kWhatBoots = "give a kernel with a PVH note (ELF) or a Multiboot 1 header";

std::string first_bytes(const BootFile& file) {
  std::array<std::byte, 4> bytes = {};
  const size_t count = std::min<uint64_t>(file.bytes(), bytes.size());
  if (!file.read_at(0, std::span(bytes).first(count))) return "?";
  std::string text;
  for (size_t i = 0; i < count; ++i) text += fmt::format("{}{:02x}", i == 0 ? "" : " ", std::to_integer<int>(bytes[i]));
  return text;
}

// Linux's own format for BIOS and EFI loaders: "HdrS" at 0x202 (Documentation/arch/x86/boot.rst).
bool is_bzimage(const BootFile& file) {
  constexpr uint64_t kMagicOffset = 0x202;
  std::array<char, 4> magic = {};
  if (file.bytes() < kMagicOffset + magic.size()) return false;
  if (!file.read_at(kMagicOffset, std::as_writable_bytes(std::span(magic)))) return false;
  return std::string_view(magic.data(), magic.size()) == "HdrS";
}

tl::unexpected<Error> not_a_kernel(const BootFile& file) {
  if (is_bzimage(file)) {
    return fail(
        "{}: it is a Linux bzImage, which needs a BIOS; give the vmlinux inside it (scripts/extract-vmlinux of "
        "the Linux sources unpacks it)",
        file.complaint());
  }
  return fail("{}: not an ELF file (it starts with {}), and no Multiboot header in its first {} bytes; {}",
              file.complaint(), first_bytes(file), kMultibootSearchBytes, kWhatBoots);
}

Status check_entry(const BootFile& file, const KernelPlan& plan, uint64_t entry) {
  const bool inside = entry <= std::numeric_limits<uint32_t>::max() &&
                      std::any_of(plan.segments.begin(), plan.segments.end(),
                                  [&](const KernelSegment& segment) { return segment.range.contains(Gpa{entry}); });
  if (inside) return {};
  return fail("{}: its {} entry {:#x} lies in none of its segments, or beyond 4 GiB; mend its linker script",
              file.complaint(), to_string(plan.protocol), entry);
}

Result<KernelPlan> plan_elf(const BootFile& file, const ElfImage& image) {
  KernelPlan plan;
  plan.protocol = image.pvh_entry ? BootProtocol::kPvh : BootProtocol::kMultiboot;
  plan.inspect_table = image.inspect_table;
  for (const ElfSegment& segment : image.segments) {
    plan.segments.push_back({fmt::format("segment {}", segment.number), segment.offset, segment.file_bytes,
                             GpaRange{segment.paddr, segment.memory_bytes}});
  }
  const uint64_t entry = image.pvh_entry ? *image.pvh_entry : image.physical_entry();
  if (auto ok = check_entry(file, plan, entry); !ok) return pass_on(ok);
  plan.entry = static_cast<uint32_t>(entry);
  return plan;
}

Result<KernelPlan> plan_flat(const BootFile& file, const MultibootAddresses& image) {
  KernelPlan plan;
  plan.protocol = BootProtocol::kMultiboot;
  plan.segments.push_back({"the image", image.file_offset, image.file_bytes, GpaRange{image.load, image.memory_bytes}});
  if (auto ok = check_entry(file, plan, image.entry); !ok) return pass_on(ok);
  plan.entry = image.entry;
  return plan;
}

}  // namespace

Result<KernelPlan> plan_kernel(const BootFile& file) {
  const auto elf = is_elf(file);
  if (!elf) return pass_on(elf);
  std::optional<ElfImage> image;
  if (*elf) {
    auto parsed = parse_elf(file);
    if (!parsed) return pass_on(parsed);
    image = std::move(*parsed);
    if (image->pvh_entry) return plan_elf(file, *image);
  }

  const auto header = find_multiboot_header(file);
  if (!header) return pass_on(header);
  if (header->has_value() && (*header)->addresses) return plan_flat(file, *(*header)->addresses);
  if (!image) {
    if (!header->has_value()) return not_a_kernel(file);
    return fail(
        "{}: it has a Multiboot header without address fields, but is no ELF file; set flags bit 16 and the "
        "fields, or link it as a 32-bit ELF",
        file.complaint());
  }
  if (image->is_64bit) {
    return fail(
        "{}: it is a 64-bit ELF without a PVH note (Xen, type 18), and starts nowhere in 32-bit mode; add the "
        "note, or build it as a 32-bit ELF",
        file.complaint());
  }
  if (!header->has_value()) {
    return fail("{}: it is an ELF file without a PVH note and without a Multiboot header in its first {} bytes; {}",
                file.complaint(), kMultibootSearchBytes, kWhatBoots);
  }
  return plan_elf(file, *image);
}

}  // namespace twofold
