// The words for what a walk met: short names for programs, sentences for people.
#include <fmt/format.h>

#include <algorithm>

#include "vmm/memory/walk.h"

namespace twofold {

namespace {

std::string last_kind(const GuestWalk& walk) {
  return walk.steps.empty() ? "entry" : to_string(walk.steps.back().kind);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

}  // namespace

const char* to_string(PagingMode mode) {
  switch (mode) {
    case PagingMode::kOff:
      return "off";
    case PagingMode::kTwoLevel:
      return "two-level";
    case PagingMode::kPae:
      return "pae";
    case PagingMode::kFourLevel:
      return "four-level";
    case PagingMode::kFiveLevel:
      return "five-level";
  }
  return "?";
}

const char* to_string(EntryKind kind) {
  switch (kind) {
    case EntryKind::kPml4e:
      return "PML4E";
    case EntryKind::kPdpte:
      return "PDPTE";
    case EntryKind::kPde:
      return "PDE";
    case EntryKind::kPte:
      return "PTE";
  }
  return "?";
}

const char* to_string(Backing backing) {
  switch (backing) {
    case Backing::kUnknown:
      return "unknown";
    case Backing::kNotBacked:
      return "not-backed";
    case Backing::kPresent:
      return "present";
    case Backing::kSwapped:
      return "swapped";
  }
  return "?";
}

std::string fault_name(const GuestWalk& walk) {
  switch (walk.fault) {
    case WalkFault::kNone:
      return "none";
    case WalkFault::kUnsupportedMode:
      return "unsupported-mode";
    case WalkFault::kAddressTooWide:
      return "address-too-wide";
    case WalkFault::kEntryNotPresent:
      return lower(last_kind(walk)) + "-not-present";
    case WalkFault::kReservedBits:
      return lower(last_kind(walk)) + "-reserved-bits";
    case WalkFault::kTableOutsideRam:
      return lower(last_kind(walk)) + "-outside-ram";
    case WalkFault::kPageOutsideRam:
      return "page-outside-ram";
  }
  return "?";
}

std::string fault_text(const GuestWalk& walk) {
  const std::string kind = last_kind(walk);
  switch (walk.fault) {
    case WalkFault::kNone:
      return "translated";
    case WalkFault::kUnsupportedMode:
      return fmt::format("this tool does not walk {} paging: two-level and four-level tables only",
                         to_string(walk.mode));
    case WalkFault::kAddressTooWide:
      return walk.mode == PagingMode::kFourLevel
                 ? "not a canonical address: bits 63..48 must repeat bit 47 (general protection fault)"
                 : "the address has more than the 32 bits that a guest without long mode can form";
    case WalkFault::kEntryNotPresent:
      return kind == "PTE" ? "page not present: P is clear in the PTE (page fault to the guest kernel)"
                           : fmt::format("no table below: P is clear in the {} (page fault to the guest kernel)", kind);
    case WalkFault::kReservedBits:
      return fmt::format("a reserved bit is set in the {} (page fault with RSVD to the guest kernel)", kind);
    case WalkFault::kTableOutsideRam:
      return fmt::format("the {} would lie at GPA {:#x}, where the guest has no RAM", kind,
                         walk.steps.empty() ? 0 : walk.steps.back().entry.value);
    case WalkFault::kPageOutsideRam:
      return "the guest's tables translate it, but no RAM lies there: MMIO, or nothing (exit to the hypervisor)";
  }
  return "?";
}

}  // namespace twofold
