#include <fmt/format.h>

#include <array>
#include <utility>

#include "vmm/base/size.h"
#include "vmm/memory/walk_view.h"

namespace twofold {

namespace {

using nlohmann::json;

std::string hex(uint64_t value) {
  return fmt::format("{:#x}", value);
}

struct Slice {
  EntryKind kind;
  unsigned high;
  unsigned low;
};
constexpr std::array<Slice, 2> kTwoLevelSlices = {{{EntryKind::kPde, 31, 22}, {EntryKind::kPte, 21, 12}}};
constexpr std::array<Slice, 4> kFourLevelSlices = {
    {{EntryKind::kPml4e, 47, 39}, {EntryKind::kPdpte, 38, 30}, {EntryKind::kPde, 29, 21}, {EntryKind::kPte, 20, 12}}};

std::span<const Slice> slices_of(PagingMode mode) {
  if (mode == PagingMode::kTwoLevel) return kTwoLevelSlices;
  if (mode == PagingMode::kFourLevel) return kFourLevelSlices;
  return {};
}

json slice_json(const std::string& name, uint64_t gva, unsigned high, unsigned low) {
  const uint64_t value = (gva >> low) & ((uint64_t{2} << (high - low)) - 1);
  return {{"name", name}, {"high_bit", high}, {"low_bit", low}, {"value", value}};
}

// How this walk cut the GVA: an index for each table it used, the rest as the offset.
json split_json(const GuestWalk& walk) {
  json split = json::array();
  unsigned offset_high = 31;
  size_t level = 0;
  for (const Slice& slice : slices_of(walk.mode)) {
    const bool beyond_large_page = level > 0 && level <= walk.steps.size() && walk.steps[level - 1].flags.large;
    if (beyond_large_page) break;
    split.push_back(slice_json(to_string(slice.kind), walk.gva.value, slice.high, slice.low));
    offset_high = slice.low - 1;
    ++level;
  }
  split.push_back(slice_json("offset", walk.gva.value, offset_high, 0));
  return split;
}

json flags_json(const EntryFlags& flags) {
  const std::array<std::pair<bool, const char*>, 10> words = {{{flags.present, "present"},
                                                               {flags.writable, "writable"},
                                                               {flags.user, "user"},
                                                               {flags.write_through, "write-through"},
                                                               {flags.cache_disable, "cache-disable"},
                                                               {flags.accessed, "accessed"},
                                                               {flags.dirty, "dirty"},
                                                               {flags.large, "large"},
                                                               {flags.global, "global"},
                                                               {flags.no_execute, "no-execute"}}};
  json set = json::array();
  for (const auto& [is_set, word] : words) {
    if (is_set) set.push_back(word);
  }
  return set;
}

json host_json(const HostTranslation& host) {
  json out = {{"hva", nullptr}, {"hpa", nullptr}, {"state", "no-ram"}};
  if (!host.hva) return out;
  const HostPage& page = host.page;
  out["hva"] = hex(*host.hva);
  if (page.pfn) out["hpa"] = hex(*page.pfn << kPageShift | (*host.hva & (kPageSize - 1)));
  out["state"] = to_string(page.backing);
  out["mapping_bytes"] = page.mapping_bytes ? json(*page.mapping_bytes) : json(nullptr);
  out["nested_page_bytes"] = host.nested_page_bytes;
  out["file_or_shared"] = page.file_or_shared;
  out["exclusive"] = page.exclusive;
  out["zero_page"] = page.zero_page;
  out["soft_dirty"] = page.soft_dirty;
  out["write_protected"] = page.write_protected;
  return out;
}

json step_json(const WalkStep& step, const HostTranslation& host) {
  json out = {{"name", to_string(step.kind)},
              {"index", step.index},
              {"gpa", hex(step.entry.value)},
              {"value", nullptr},
              {"flags", flags_json(step.flags)},
              {"os_bits", step.flags.os_bits},
              {"target", nullptr},
              {"references", count_references(host) + (step.read ? 1 : 0)},
              {"host", host_json(host)}};
  if (step.read) out["value"] = hex(step.raw);
  if (step.target) out["target"] = hex(step.target->value);
  return out;
}

// What the same walk takes with each size of page on either side. A large guest page saves one level.
json references_json(const TwoDimensionalWalk& walk) {
  const auto levels = static_cast<unsigned>(slices_of(walk.guest.mode).size());
  const uint64_t large = walk.guest.mode == PagingMode::kFourLevel ? 2 * MiB : 4 * MiB;
  json by_page_size = json::array();
  for (const bool guest_large : {false, true}) {
    if (guest_large && levels == 0) continue;
    for (const bool host_large : {false, true}) {
      by_page_size.push_back(
          {{"guest_page_bytes", guest_large ? large : kPageSize},
           {"host_page_bytes", host_large ? 2 * MiB : kPageSize},
           {"references", count_references(levels - (guest_large ? 1 : 0), kNestedLevels - (host_large ? 1 : 0))}});
    }
  }
  return {{"this_walk", count_references(walk)},
          {"guest_levels", levels},
          {"nested_levels", kNestedLevels},
          {"by_page_size", by_page_size}};
}

}  // namespace

json walk_to_json(const TwoDimensionalWalk& walk) {
  const GuestWalk& guest = walk.guest;
  json out = {{"gva", hex(guest.gva.value)},
              {"paging",
               {{"mode", to_string(guest.mode)},
                {"cr0", hex(guest.paging.cr0)},
                {"cr3", hex(guest.paging.cr3)},
                {"cr4", hex(guest.paging.cr4)},
                {"efer", hex(guest.paging.efer)}}},
              {"split", split_json(guest)},
              {"steps", json::array()},
              {"result", nullptr},
              {"fault", nullptr},
              {"references", nullptr}};
  for (size_t i = 0; i < guest.steps.size(); ++i) out["steps"].push_back(step_json(guest.steps[i], walk.host[i]));
  if (guest.gpa) {
    out["result"] = {{"gpa", hex(guest.gpa->value)},       {"page_bytes", guest.page_bytes},
                     {"writable", guest.writable},         {"user", guest.user},
                     {"executable", guest.executable},     {"references", count_references(walk.host.back())},
                     {"host", host_json(walk.host.back())}};
  }
  if (guest.fault != WalkFault::kNone) out["fault"] = {{"name", fault_name(guest)}, {"text", fault_text(guest)}};
  const bool walked = guest.fault != WalkFault::kUnsupportedMode && guest.fault != WalkFault::kAddressTooWide;
  if (walked) out["references"] = references_json(walk);
  return out;
}

}  // namespace twofold
