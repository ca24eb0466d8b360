#include "vmm/control/memory_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/control/fakes.h"
#include "vmm/control/routes.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

http::Response get(VmService& vm, const std::string& path) {
  return handle_request(vm, {"GET", path, {}, {}});
}

http::Response put_balloon(VmService& vm, const std::string& body) {
  return handle_request(vm, {"PUT", "/vm/balloon", {}, body});
}

TEST(MemoryRoutes, GetBalloonTellsHowItStands) {
  testing::FakeVm vm;
  const auto response = get(vm, "/vm/balloon");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(nlohmann::json::parse(response.body), nlohmann::json::parse(R"({"target_bytes": 0, "actual_bytes": 4096,
    "driver_ready": true, "seconds_since_progress": 0.5, "seconds_since_statistics": 0.25,
    "statistics": {"free_bytes": 1048576, "major_faults": 7},
    "inflate_requests": 0, "deflate_requests": 0, "report_requests": 0, "bad_frames": 0})"));
}

TEST(MemoryRoutes, PutBalloonSetsTheTarget) {
  testing::FakeVm vm;
  const auto response = put_balloon(vm, R"({"target_bytes": 33554432})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(nlohmann::json::parse(response.body)["target_bytes"], 33554432);
  EXPECT_EQ(put_balloon(vm, R"({"target_bytes": 67108864})").status, 200) << "all of the guest's memory";
  EXPECT_EQ(put_balloon(vm, R"({"target_bytes": 0})").status, 200);
  EXPECT_THAT(vm.changes(), ElementsAre("balloon 33554432", "balloon 67108864", "balloon 0"));
}

TEST(MemoryRoutes, MergingTellsHowItGoesAndIsSwitched) {
  testing::FakeVm vm;
  const auto response = get(vm, "/vm/merging");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(nlohmann::json::parse(response.body), nlohmann::json::parse(R"({"state": "on", "shared_bytes": 8388608,
    "cow_breaks_total": 7, "cpu_seconds": 0.5, "writer_waits_below_microseconds": [[1, 1], [4, 2]]})"));
  const auto put = [&](const std::string& body) { return handle_request(vm, {"PUT", "/vm/merging", {}, body}); };
  EXPECT_EQ(nlohmann::json::parse(put(R"({"state": "off"})").body)["state"], "off");
  EXPECT_EQ(put(R"({"state": "on"})").status, 200);
  for (const char* body :
       {"", "{}", "[]", R"({"state": true})", R"({"state": "maybe"})", R"({"state": "on", "x": 1})"}) {
    EXPECT_EQ(put(body).status, 400) << body;
  }
  EXPECT_THAT(vm.changes(), ElementsAre("merging off", "merging on"));
  vm.merges = false;
  EXPECT_EQ(get(vm, "/vm/merging").status, 409);
  EXPECT_EQ(put(R"({"state": "on"})").status, 409);
}

TEST(MemoryRoutes, WhatIsWrongWithATargetChangesNothing) {
  testing::FakeVm vm;
  for (const char* body : {"", "{", "[]", "1", "{}", R"({"target_bytes": -1})", R"({"target_bytes": 1.5})",
                           R"({"target_bytes": "1"})", R"({"target_bytes": null})", R"({"target_bytes": true})",
                           R"({"target": 1})", R"({"target_bytes": 1, "force": true})", R"({"target_bytes": 67108865})",
                           R"({"target_bytes": 99999999999999999999999})", R"({"target_bytes": 1} x)"}) {
    const auto response = put_balloon(vm, body);
    EXPECT_EQ(response.status, 400) << body << " gives " << response.body;
    EXPECT_THAT(response.body, HasSubstr("error"));
  }
  EXPECT_THAT(vm.changes(), IsEmpty());
}

TEST(MemoryRoutes, AVmWithoutABalloonSaysSo) {
  testing::FakeVm vm;
  vm.has_balloon = false;
  EXPECT_EQ(get(vm, "/vm/balloon").status, 409);
  EXPECT_EQ(put_balloon(vm, R"({"target_bytes": 1})").status, 409);
  EXPECT_EQ(get(vm, "/vm/memory").status, 200);
  EXPECT_EQ(get(vm, "/metrics").status, 200);
  EXPECT_THAT(vm.changes(), IsEmpty());
}

TEST(MemoryRoutes, GetMemoryTellsWhatTheHostHolds) {
  testing::FakeVm vm;
  const auto json = nlohmann::json::parse(get(vm, "/vm/memory").body);
  EXPECT_EQ(json["promised_bytes"], 64 << 20);
  EXPECT_EQ(json["resident_bytes"], 3 << 20);
  EXPECT_EQ(json["ballooned_bytes"], 8192);
}

// Prometheus's text format, line by line: a type, then the sample of that name with a number.
TEST(MemoryRoutes, MetricsAreWhatPrometheusReads) {
  testing::FakeVm vm;
  const auto response = get(vm, "/metrics");
  EXPECT_EQ(response.type, "text/plain; version=0.0.4");
  EXPECT_THAT(http::to_wire(response), HasSubstr("Content-Type: text/plain; version=0.0.4\r\n"));
  const auto histogram = response.body.find("# TYPE twofold_merge_writer_wait_seconds histogram\n");
  ASSERT_NE(histogram, std::string::npos);
  EXPECT_EQ(response.body.substr(histogram), R"(# TYPE twofold_merge_writer_wait_seconds histogram
twofold_merge_writer_wait_seconds_bucket{vm="fake",le="1e-06"} 1
twofold_merge_writer_wait_seconds_bucket{vm="fake",le="2e-06"} 1
twofold_merge_writer_wait_seconds_bucket{vm="fake",le="4e-06"} 3
twofold_merge_writer_wait_seconds_bucket{vm="fake",le="+Inf"} 3
twofold_merge_writer_wait_seconds_sum{vm="fake"} 0.25
twofold_merge_writer_wait_seconds_count{vm="fake"} 3
)");
  std::istringstream lines(response.body.substr(0, histogram));
  std::set<std::string> names;
  const std::regex type("# TYPE (twofold_[a-z_]+) (gauge|counter)");
  const std::regex sample(R"((twofold_[a-z_]+)\{vm="fake"\} [-+0-9.e]+)");
  for (std::string line; std::getline(lines, line);) {
    std::smatch declared;
    ASSERT_TRUE(std::regex_match(line, declared, type)) << line;
    EXPECT_TRUE(names.insert(declared[1]).second) << "declared twice: " << line;
    const std::string name = declared[1];
    const bool counter = declared[2] == "counter";
    EXPECT_EQ(counter, name.ends_with("_total")) << line;
    ASSERT_TRUE(std::getline(lines, line));
    std::smatch found;
    ASSERT_TRUE(std::regex_match(line, found, sample)) << line;
    EXPECT_EQ(found[1], name);
  }
  for (const char* name :
       {"twofold_memory_resident_bytes", "twofold_balloon_actual_bytes", "twofold_guest_free_bytes"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

}  // namespace
}  // namespace twofold
