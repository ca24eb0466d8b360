// `twofold doctor`'s judgement: facts about a host in, a line each with a verdict and the mend out. No system calls.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vmm/control/host_facts.h"

namespace twofold {

enum class Verdict : uint8_t {
  kOk,
  kWarn,  // guests run, but something of Twofold's will not, or will do worse
  kFail,  // no guest runs
};

struct Check {
  std::string name;
  Verdict verdict = Verdict::kOk;
  std::string found;  // what was seen, one line
  std::string mend;   // what to do about it; may hold advice when all is well
};

Check check_kvm_device(const KvmFacts& kvm);
Check check_probe(const KvmFacts& kvm);
Check check_two_dimensions(const KvmModuleFacts& modules);
Check check_unrestricted_guest(const KvmModuleFacts& modules);
Check check_kernel(const std::string& release);
Check check_userfaultfd(const UserfaultFacts& userfault);
Check check_pagemap_scan(int error);
Check check_max_map_count(const std::string& max_map_count);
Check check_huge_pages(const std::string& enabled);
Check check_memory(const MemoryFacts& memory);
Check check_swap(const MemoryFacts& memory);

struct DoctorReport {
  std::vector<Check> checks;
  bool probe_ok = false;
  bool ok = false;  // no check failed: guests run here
};

DoctorReport examine(const HostFacts& facts);

// A line a check, the mend below it, and the conclusion.
std::string report_text(const DoctorReport& report);

// {"checks": [{"name", "verdict": "ok|warn|fail", "found", "mend"}], "probe": {"ok"}, "ok"}
nlohmann::json to_json(const DoctorReport& report);

}  // namespace twofold
