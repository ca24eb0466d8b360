#include "vmm/control/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "ksm/newer_uapi.h"
#include "vmm/base/size.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kAllFeatures =
    UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_EXACT_ADDRESS;

HostFacts good_host() {
  HostFacts facts;
  facts.kvm = {0, 1024, "", ProbeResult{true, "it ran"}};
  facts.modules = {"Y", "Y", ""};
  facts.kernel_release = "6.12.9-amd64";
  facts.userfault = {0, false, kAllFeatures};
  facts.max_map_count = "1048576";
  facts.huge_pages = "always [madvise] never";
  facts.memory = {8 * GiB, 6 * GiB, 4 * GiB, 4 * GiB, "0"};
  return facts;
}

TEST(Doctor, AGoodHostHasNothingToMend) {
  const auto report = examine(good_host());
  EXPECT_TRUE(report.ok);
  EXPECT_TRUE(report.probe_ok);
  EXPECT_EQ(report.checks.size(), 11U);
  for (const Check& check : report.checks) {
    EXPECT_EQ(check.verdict, Verdict::kOk) << check.name << ": " << check.found;
    EXPECT_EQ(check.mend, "") << check.name;
    EXPECT_NE(check.found, "") << check.name;
  }
  EXPECT_THAT(report_text(report), HasSubstr("Twofold can run guests here.\n"));
}

TEST(Doctor, EveryOtherVerdictHasAMend) {
  for (const Check& check : examine(HostFacts{}).checks) {
    EXPECT_TRUE(check.verdict == Verdict::kOk || !check.mend.empty()) << check.name;
    EXPECT_EQ(check.found.find('\n'), std::string::npos);
  }
}

TEST(Doctor, OnlyKvmAndTheProbeFail) {
  HostFacts facts;  // nothing can be read at all
  facts.kvm.open_error = ENOENT;
  facts.userfault.open_error = EPERM;
  facts.pagemap_scan_error = ENOTTY;
  const auto report = examine(facts);
  EXPECT_FALSE(report.ok);
  EXPECT_FALSE(report.probe_ok);
  for (const Check& check : report.checks) {
    const bool essential = check.name == "/dev/kvm" || check.name == "probe guest";
    EXPECT_EQ(check.verdict, essential ? Verdict::kFail : Verdict::kWarn) << check.name;
  }
}

TEST(Doctor, WarningsDoNotFail) {
  auto facts = good_host();
  facts.kernel_release = "6.1.0";
  facts.memory.swap_total_bytes = 0;
  const auto report = examine(facts);
  EXPECT_TRUE(report.ok);
  EXPECT_THAT(report_text(report), HasSubstr("Twofold can run guests here (2 warnings).\n"));
}

TEST(Doctor, KvmDevice) {
  EXPECT_EQ(check_kvm_device({0, 8, "", {}}).verdict, Verdict::kOk);
  EXPECT_THAT(check_kvm_device({ENOENT, 0, "", {}}).mend, HasSubstr("kvm-intel"));
  EXPECT_THAT(check_kvm_device({EACCES, 0, "", {}}).mend, HasSubstr("usermod -aG kvm"));
  const auto odd = check_kvm_device({0, 0, "its API version is 11", {}});
  EXPECT_EQ(odd.verdict, Verdict::kFail);
  EXPECT_THAT(odd.found, HasSubstr("version is 11"));
}

TEST(Doctor, AProbeThatDiesFailsThoughKvmOpens) {
  auto facts = good_host();
  facts.kvm.probe = ProbeResult{false, "KVM_EXIT_SHUTDOWN"};
  const auto report = examine(facts);
  EXPECT_FALSE(report.ok);
  EXPECT_FALSE(report.probe_ok);
  EXPECT_THAT(report_text(report), HasSubstr("FAIL  probe guest"));
  EXPECT_THAT(check_probe(facts.kvm).mend, HasSubstr("kvm_pvm"));
}

TEST(Doctor, TwoDimensions) {
  EXPECT_THAT(check_two_dimensions({"Y", "Y", ""}).found, HasSubstr("EPT"));
  EXPECT_EQ(check_two_dimensions({"Y", "Y", ""}).verdict, Verdict::kOk);
  EXPECT_THAT(check_two_dimensions({"", "", "1"}).found, HasSubstr("NPT"));
  EXPECT_EQ(check_two_dimensions({"N", "N", ""}).verdict, Verdict::kWarn);
  EXPECT_THAT(check_two_dimensions({"", "", "0"}).mend, HasSubstr("kvm_amd npt=1"));
  EXPECT_EQ(check_two_dimensions({}).verdict, Verdict::kWarn);
}

TEST(Doctor, UnrestrictedGuest) {
  EXPECT_EQ(check_unrestricted_guest({"Y", "Y", ""}).verdict, Verdict::kOk);
  EXPECT_EQ(check_unrestricted_guest({"Y", "N", ""}).verdict, Verdict::kWarn);
  EXPECT_EQ(check_unrestricted_guest({"", "", "N"}).verdict, Verdict::kOk);
  EXPECT_EQ(check_unrestricted_guest({}).verdict, Verdict::kWarn);
}

TEST(Doctor, KernelFrom6Point8On) {
  for (const char* good : {"6.8.0", "6.8", "6.10.1", "6.12.95+deb12-cloud-amd64", "7.0.0-rc1", "10.1"}) {
    EXPECT_EQ(check_kernel(good).verdict, Verdict::kOk) << good;
  }
  for (const char* old : {"6.7.12", "6.1.0-18-amd64", "5.19.0", "2.6.32"}) {
    EXPECT_EQ(check_kernel(old).verdict, Verdict::kWarn) << old;
    EXPECT_THAT(check_kernel(old).mend, HasSubstr("6.8"));
  }
  for (const char* odd : {"", "6", "6.", "six.eight", "6-8"})
    EXPECT_EQ(check_kernel(odd).verdict, Verdict::kWarn) << odd;
}

TEST(Doctor, Userfaultfd) {
  EXPECT_EQ(check_userfaultfd({0, false, kAllFeatures}).verdict, Verdict::kOk);
  const auto plain = check_userfaultfd({0, false, kAllFeatures & ~uint64_t{UFFD_FEATURE_EXACT_ADDRESS}});
  EXPECT_EQ(plain.verdict, Verdict::kOk);
  EXPECT_THAT(plain.found, HasSubstr("no EXACT_ADDRESS"));
  const auto old = check_userfaultfd({0, false, UFFD_FEATURE_PAGEFAULT_FLAG_WP});
  EXPECT_EQ(old.verdict, Verdict::kWarn);
  EXPECT_EQ(old.found, "lacks WP_UNPOPULATED");
  EXPECT_EQ(check_userfaultfd({0, false, 0}).found, "lacks PAGEFAULT_FLAG_WP, WP_UNPOPULATED");
  EXPECT_EQ(check_userfaultfd({0, true, kAllFeatures}).verdict, Verdict::kWarn);
  EXPECT_THAT(check_userfaultfd({EPERM, false, 0}).mend, HasSubstr("unprivileged_userfaultfd"));
  EXPECT_THAT(check_userfaultfd({ENOSYS, false, 0}).mend, HasSubstr("CONFIG_USERFAULTFD"));
}

TEST(Doctor, PagemapScan) {
  EXPECT_EQ(check_pagemap_scan(0).verdict, Verdict::kOk);
  EXPECT_THAT(check_pagemap_scan(ENOTTY).mend, HasSubstr("6.7"));
  EXPECT_THAT(check_pagemap_scan(EIO).found, HasSubstr("wrong answer"));
}

TEST(Doctor, MaxMapCount) {
  EXPECT_EQ(check_max_map_count("1048576").mend, "");
  EXPECT_EQ(check_max_map_count("65530").verdict, Verdict::kOk);
  EXPECT_THAT(check_max_map_count("65530").mend, HasSubstr("1048576"));
  EXPECT_EQ(check_max_map_count("65529").verdict, Verdict::kWarn);
  EXPECT_EQ(check_max_map_count("").verdict, Verdict::kWarn);
  EXPECT_EQ(check_max_map_count("many").verdict, Verdict::kWarn);
}

TEST(Doctor, HugePages) {
  EXPECT_THAT(check_huge_pages("[always] madvise never").found, HasSubstr("always:"));
  EXPECT_THAT(check_huge_pages("always [madvise] never").found, HasSubstr("madvise:"));
  EXPECT_THAT(check_huge_pages("always madvise [never]").mend, HasSubstr("madvise"));
  for (const char* odd : {"", "]always[", "[", "[other]"})
    EXPECT_EQ(check_huge_pages(odd).verdict, Verdict::kWarn) << odd;
}

TEST(Doctor, MemoryAndSwap) {
  EXPECT_EQ(check_memory({GiB, GiB, 0, 0, "1"}).verdict, Verdict::kOk);
  EXPECT_EQ(check_memory({GiB, 255 * MiB, 0, 0, "0"}).verdict, Verdict::kWarn);
  EXPECT_THAT(check_memory({GiB, GiB, 0, 0, "2"}).found, HasSubstr("overcommit_memory=2"));
  EXPECT_EQ(check_memory({}).verdict, Verdict::kWarn);
  EXPECT_EQ(check_swap({GiB, GiB, 0, 0, "0"}).verdict, Verdict::kWarn);
  EXPECT_EQ(check_swap({GiB, GiB, GiB, MiB, "0"}).found, "1 GiB, 1 MiB free");
}

TEST(Doctor, JsonHasWhatScriptsReadOff) {
  const auto json = to_json(examine(good_host()));
  EXPECT_EQ(json["probe"]["ok"], true);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["checks"].size(), 11U);
  EXPECT_EQ(
      json["checks"][0],
      (nlohmann::json{
          {"name", "/dev/kvm"}, {"verdict", "ok"}, {"found", "opens, up to 1024 virtual CPUs a VM"}, {"mend", ""}}));
  HostFacts facts = good_host();
  facts.kvm.probe.reset();
  EXPECT_EQ(to_json(examine(facts))["probe"]["ok"], false);
}

// Not what this host can do, which a unit test must not depend on, but that asking is safe and every fact is judged.
TEST(Doctor, ThisHostCanBeExamined) {
  const auto facts = read_host_facts();
  EXPECT_NE(facts.kernel_release, "");
  EXPECT_GT(facts.memory.total_bytes, 0U);
  EXPECT_EQ(facts.kvm.probe.has_value(), facts.kvm.open_error == 0 && facts.kvm.refusal.empty());
  EXPECT_EQ(examine(facts).checks.size(), 11U);
}

// A run page with an exit in it, as KVM leaves it.
class ProbeExit {
 public:
  kvm_run& run() { return *reinterpret_cast<kvm_run*>(page_.data()); }
  kvm_run& out(uint16_t port, uint8_t value) {
    run().exit_reason = KVM_EXIT_IO;
    run().io.direction = KVM_EXIT_IO_OUT;
    run().io.size = 1;
    run().io.count = 1;
    run().io.port = port;
    run().io.data_offset = 4096;
    reinterpret_cast<uint8_t*>(page_.data())[4096] = value;
    return run();
  }

 private:
  std::vector<uint64_t> page_ = std::vector<uint64_t>(1024);
};

TEST(Probe, OnlyTheRightByteAtTheRightPortWillDo) {
  ProbeExit exit;
  EXPECT_TRUE(judge_probe_exit(exit.out(kProbePort, kProbeByte)).ok);
  EXPECT_FALSE(judge_probe_exit(exit.out(kProbePort, 0)).ok);
  EXPECT_FALSE(judge_probe_exit(exit.out(0x80, kProbeByte)).ok);
  exit.out(kProbePort, kProbeByte).io.size = 2;
  EXPECT_FALSE(judge_probe_exit(exit.run()).ok);
  exit.out(kProbePort, kProbeByte).io.direction = KVM_EXIT_IO_IN;
  EXPECT_FALSE(judge_probe_exit(exit.run()).ok);
}

TEST(Probe, OtherExitsAreNamed) {
  ProbeExit exit;
  exit.run().exit_reason = KVM_EXIT_SHUTDOWN;
  EXPECT_THAT(judge_probe_exit(exit.run()).found, HasSubstr("KVM_EXIT_SHUTDOWN"));
  exit.run().exit_reason = KVM_EXIT_INTERNAL_ERROR;
  exit.run().internal.suberror = 1;
  EXPECT_THAT(judge_probe_exit(exit.run()).found, HasSubstr("suberror 1"));
  exit.run().exit_reason = KVM_EXIT_FAIL_ENTRY;
  exit.run().fail_entry.hardware_entry_failure_reason = 0x80000021;
  EXPECT_THAT(judge_probe_exit(exit.run()).found, HasSubstr("0x80000021"));
  exit.run().exit_reason = KVM_EXIT_HLT;
  EXPECT_FALSE(judge_probe_exit(exit.run()).ok);
}

}  // namespace
}  // namespace twofold
