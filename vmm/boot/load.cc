#include "vmm/boot/load.h"

#include <algorithm>
#include <cstring>

#include "vmm/base/size.h"
#include "vmm/boot/kernel_plan.h"
#include "vmm/boot/mp_tables.h"
#include "vmm/boot/multiboot.h"
#include "vmm/boot/pvh.h"
#include "vmm/memory/layout.h"

namespace twofold {

namespace {

Status claim_boot_tables(Placement& placement, BootProtocol protocol) {
  const bool pvh = protocol == BootProtocol::kPvh;
  const GpaRange info = pvh ? GpaRange{Gpa{layout::kPvhInfo}, layout::kPvhInfoBytes}
                            : GpaRange{Gpa{layout::kMultibootInfo}, layout::kMultibootInfoBytes};
  Status ok = placement.claim("the BIOS data area", {Gpa{layout::kBda}, layout::kBdaBytes});
  if (ok) ok = placement.claim(pvh ? "the PVH start info" : "the Multiboot information", info);
  if (ok) ok = placement.claim("the command line", {Gpa{layout::kCmdline}, layout::kCmdlineBytes});
  if (ok) {
    ok = placement.claim("the MP tables and what a PC reserves",
                         {Gpa{layout::kEbda}, layout::kHighMemory - layout::kEbda});
  }
  return ok;
}

// Claims all segments before the first is read, so that a kernel that cannot be loaded costs nothing.
Status load_segments(const GuestMemory& memory, const BootFile& file, const KernelPlan& plan, Placement& placement) {
  for (const KernelSegment& segment : plan.segments) {
    if (auto ok = placement.claim(segment.name, segment.range); !ok) {
      return fail("{}: {}", file.complaint(), ok.error().message);
    }
  }
  for (const KernelSegment& segment : plan.segments) {
    if (segment.file_bytes == 0) continue;
    if (auto ok = file.read_at(segment.offset, memory.at(segment.range.base, segment.file_bytes)); !ok) return ok;
  }
  return {};
}

Result<GpaRange> load_initrd(const GuestMemory& memory, const BootFile& file, Placement& placement) {
  const Gpa limit{std::min(memory.ranges().front().end().value, layout::kInitrdLimit)};
  const auto base = placement.find_highest(file.bytes(), Gpa{layout::kHighMemory}, limit);
  if (!base) {
    return fail(
        "{}: no room for its {} between the kernel and {:#x}, and the guest has {} of memory; give it more "
        "--memory, or make the file smaller",
        file.complaint(), format_size(file.bytes()), limit.value, format_size(memory.bytes()));
  }
  const GpaRange range{*base, file.bytes()};
  if (auto ok = placement.claim("the initrd", range); !ok) return fail("{}: {}", file.complaint(), ok.error().message);
  if (auto ok = file.read_at(0, memory.at(range.base, range.bytes)); !ok) return pass_on(ok);
  return range;
}

Result<Gpa> write_cmdline(const GuestMemory& memory, const BootFile& kernel, BootProtocol protocol,
                          const std::string& cmdline) {
  // Multiboot kernels expect the command that loaded them, kernel first, as GRUB and QEMU have it.
  std::string line = cmdline;
  if (protocol == BootProtocol::kMultiboot) line = kernel.path() + (cmdline.empty() ? "" : " " + cmdline);
  if (line.size() >= layout::kCmdlineBytes) {
    return fail("{}: its command line has {} bytes, and {} is the limit; shorten --append", kernel.complaint(),
                line.size(), layout::kCmdlineBytes - 1);
  }
  const auto to = memory.at(Gpa{layout::kCmdline}, line.size() + 1);
  if (to.empty()) return fail("{}: no RAM for its command line at {:#x}", kernel.complaint(), layout::kCmdline);
  std::memcpy(to.data(), line.c_str(), line.size() + 1);
  return Gpa{layout::kCmdline};
}

// Writes the protocol's information and returns its address.
Result<Gpa> write_boot_info(const GuestMemory& memory, BootProtocol protocol, Gpa cmdline, const BootFile* initrd,
                            const std::optional<GpaRange>& module) {
  if (protocol == BootProtocol::kPvh) return write_pvh_start_info(memory, cmdline, module);
  std::optional<MultibootModule> named;
  if (module && initrd != nullptr) named = MultibootModule{*module, initrd->path()};
  return write_multiboot_info(memory, cmdline, named);
}

std::vector<GpaRange> extents(const KernelPlan& plan) {
  std::vector<GpaRange> ranges;
  for (const KernelSegment& segment : plan.segments) {
    if (segment.range.bytes > 0) ranges.push_back(segment.range);
  }
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.base < b.base; });
  return ranges;
}

}  // namespace

const char* to_string(BootProtocol protocol) {
  return protocol == BootProtocol::kPvh ? "PVH" : "Multiboot";
}

Result<BootState> load_kernel_file(const GuestMemory& memory, const BootFile& kernel, const BootFile* initrd,
                                   const BootConfig& config) {
  if (memory.ranges().front().bytes <= layout::kHighMemory) {
    return fail("{}: the guest has {} of memory, and the first 1 MiB is for tables; give it --memory 2M or more",
                kernel.complaint(), format_size(memory.bytes()));
  }
  const auto plan = plan_kernel(kernel);
  if (!plan) return pass_on(plan);

  Placement placement(memory);
  if (auto ok = claim_boot_tables(placement, plan->protocol); !ok) return pass_on(ok);
  if (auto ok = load_segments(memory, kernel, *plan, placement); !ok) return pass_on(ok);

  BootState state;
  state.protocol = plan->protocol;
  state.eip = plan->entry;
  state.eax = plan->protocol == BootProtocol::kMultiboot ? kMultibootBootloaderMagic : 0;
  state.inspect_table = plan->inspect_table;
  state.kernel = extents(*plan);
  if (initrd != nullptr) {
    const auto range = load_initrd(memory, *initrd, placement);
    if (!range) return pass_on(range);
    state.initrd = *range;
  }
  const auto cmdline = write_cmdline(memory, kernel, plan->protocol, config.cmdline);
  if (!cmdline) return pass_on(cmdline);
  const auto info = write_boot_info(memory, plan->protocol, *cmdline, initrd, state.initrd);
  if (!info) return pass_on(info);
  state.ebx = static_cast<uint32_t>(info->value);
  if (auto ok = write_mp_tables(memory, config.cpus); !ok) return pass_on(ok);
  return state;
}

Result<BootState> load_kernel(const GuestMemory& memory, const BootConfig& config) {
  const auto kernel = BootFile::open("kernel", config.kernel);
  if (!kernel) return pass_on(kernel);
  if (!config.initrd) return load_kernel_file(memory, *kernel, nullptr, config);
  const auto initrd = BootFile::open("initrd", *config.initrd);
  if (!initrd) return pass_on(initrd);
  return load_kernel_file(memory, *kernel, &*initrd, config);
}

}  // namespace twofold
