#include "vmm/control/doctor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace twofold {

namespace {

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kFail:
      return "fail";
  }
  return "fail";
}

}  // namespace

DoctorReport examine(const HostFacts& facts) {
  DoctorReport report;
  report.checks = {
      check_kvm_device(facts.kvm),
      check_probe(facts.kvm),
      check_two_dimensions(facts.modules),
      check_unrestricted_guest(facts.modules),
      check_kernel(facts.kernel_release),
      check_userfaultfd(facts.userfault),
      check_pagemap_scan(facts.pagemap_scan_error),
      check_max_map_count(facts.max_map_count),
      check_huge_pages(facts.huge_pages),
      check_memory(facts.memory),
      check_swap(facts.memory),
  };
  report.probe_ok = facts.kvm.probe && facts.kvm.probe->ok;
  report.ok = std::none_of(report.checks.begin(), report.checks.end(),
                           [](const Check& check) { return check.verdict == Verdict::kFail; });
  return report;
}

std::string report_text(const DoctorReport& report) {
  constexpr size_t kNameWidth = 22;  // of the longest name, "two-dimensional paging"
  std::string text;
  for (const Check& check : report.checks) {
    const std::string verdict = check.verdict == Verdict::kFail ? "FAIL" : word(check.verdict);
    text += fmt::format("{:<4}  {:<{}}  {}\n", verdict, check.name, kNameWidth, check.found);
    if (!check.mend.empty()) text += fmt::format("{:>{}}-> {}\n", "", 4 + 2 + kNameWidth + 2, check.mend);
  }
  const auto warnings = std::count_if(report.checks.begin(), report.checks.end(),
                                      [](const Check& check) { return check.verdict == Verdict::kWarn; });
  text += report.ok ? "\nTwofold can run guests here" : "\nTwofold cannot run guests here";
  text += warnings == 0 ? ".\n" : fmt::format(" ({} warning{}).\n", warnings, warnings == 1 ? "" : "s");
  return text;
}

nlohmann::json to_json(const DoctorReport& report) {
  auto checks = nlohmann::json::array();
  for (const Check& check : report.checks) {
    checks.push_back(
        {{"name", check.name}, {"verdict", word(check.verdict)}, {"found", check.found}, {"mend", check.mend}});
  }
  return {{"checks", checks}, {"probe", {{"ok", report.probe_ok}}}, {"ok", report.ok}};
}

}  // namespace twofold
