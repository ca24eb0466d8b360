#include "vmm/control/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>

#include "tests/unit/control/fakes.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;
using Query = std::vector<std::pair<std::string, std::string>>;

http::Response get(VmService& vm, const std::string& path, const Query& query = {}) {
  return handle_request(vm, {"GET", path, query, {}});
}

http::Response put_state(VmService& vm, const std::string& body) {
  return handle_request(vm, {"PUT", "/vm/state", {}, body});
}

TEST(Routes, GetVmTellsEverything) {
  testing::FakeVm vm;
  const auto response = get(vm, "/vm");
  EXPECT_EQ(response.status, 200);
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json, nlohmann::json::parse(R"({"name": "fake", "pid": 42, "state": "running", "cpus": 2,
    "memory_bytes": 67108864, "resident_bytes": 3145728, "kernel": "kernel.elf", "uptime_seconds": 1.5,
    "exit_status": null, "unknown_ports": 0, "unknown_mmio": 0})"));
}

TEST(Routes, ExitStatusIsANumberOnceThereIsOne) {
  VmInfo info;
  info.state = VmState::kStopped;
  info.exit_status = 33;
  EXPECT_EQ(to_json(info)["exit_status"], 33);
  EXPECT_EQ(to_json(info)["state"], "stopped");
}

TEST(Routes, NamesThatAreNoUtf8StillMakeJson) {
  testing::FakeVm vm;
  vm.kernel = "bad\xff.elf";
  vm.process_name = "\xc3";
  EXPECT_FALSE(nlohmann::json::parse(get(vm, "/vm").body, nullptr, false).is_discarded());
  EXPECT_FALSE(nlohmann::json::parse(get(vm, "/vm/processes").body, nullptr, false).is_discarded());
}

TEST(Routes, PutStateChangesTheState) {
  testing::FakeVm vm;
  const auto paused = put_state(vm, R"({"state": "paused"})");
  EXPECT_EQ(paused.status, 200);
  EXPECT_EQ(nlohmann::json::parse(paused.body)["state"], "paused");
  EXPECT_EQ(put_state(vm, R"({"state": "running"})").status, 200);
  EXPECT_EQ(put_state(vm, R"({"state": "stopped"})").status, 202);
  EXPECT_THAT(vm.changes(), ElementsAre("pause", "resume", "stop"));
}

TEST(Routes, AVmThatRefusesIsAConflict) {
  testing::FakeVm vm;
  vm.refusal = "it has stopped";
  for (const auto& response :
       {put_state(vm, R"({"state": "paused"})"), get(vm, "/vm/processes"), get(vm, "/vm/walk", {{"gva", "0"}})}) {
    EXPECT_EQ(response.status, 409);
    EXPECT_EQ(response.body, R"({"error":"it has stopped"})");
  }
}

TEST(Routes, BadBodiesChangeNothing) {
  testing::FakeVm vm;
  const std::string deep(60000, '[');
  for (const std::string& body :
       {std::string(), std::string("paused"), std::string("{"), std::string("[]"), std::string("\"paused\""),
        std::string("null"), std::string("{}"), std::string(R"({"state": 1})"), std::string(R"({"state": null})"),
        std::string(R"({"state": ["paused"]})"), std::string(R"({"state": "asleep"})"), std::string(R"({"state": ""})"),
        std::string(R"({"State": "paused"})"), std::string(R"({"state": "paused", "force": true})"),
        std::string(R"({"state": "paused"} trailing)"), std::string("{\"state\": \"\xff\"}"), deep,
        deep + std::string(5000, ']')}) {
    const auto response = put_state(vm, body);
    EXPECT_EQ(response.status, 400) << body.substr(0, 60);
    EXPECT_TRUE(nlohmann::json::parse(response.body)["error"].is_string());
  }
  EXPECT_THAT(vm.calls(), IsEmpty());
}

TEST(Routes, WalkHandsEveryFieldOn) {
  testing::FakeVm vm;
  EXPECT_EQ(get(vm, "/vm/walk", {{"gva", "0x5123"}}).status, 200);
  EXPECT_EQ(vm.walked().gva, Gva{0x5123});
  EXPECT_FALSE(vm.walked().cr3 || vm.walked().pid || vm.walked().process || vm.walked().vcpu);

  EXPECT_EQ(get(vm, "/vm/walk", {{"gva", "20771"}, {"cr3", "0x3ff000"}, {"vcpu", "1"}}).status, 200);
  EXPECT_EQ(vm.walked().gva, Gva{0x5123});
  EXPECT_EQ(vm.walked().cr3, 0x3ff000U);
  EXPECT_EQ(vm.walked().vcpu, 1U);

  EXPECT_EQ(get(vm, "/vm/walk", {{"gva", "0"}, {"pid", "3"}}).status, 200);
  EXPECT_EQ(vm.walked().pid, 3U);
  EXPECT_EQ(get(vm, "/vm/walk", {{"gva", "0"}, {"process", "sh"}}).status, 200);
  EXPECT_EQ(vm.walked().process, "sh");
}

TEST(Routes, BadWalksAreNotWalked) {
  testing::FakeVm vm;
  for (const Query& query : std::vector<Query>{
           {},
           {{"pid", "1"}},
           {{"gva", ""}},
           {{"gva", "0x"}},
           {{"gva", "-1"}},
           {{"gva", "+1"}},
           {{"gva", " 1"}},
           {{"gva", "1.5"}},
           {{"gva", "12 "}},
           {{"gva", "0x1ffffffffffffffff"}},
           {{"gva", "1"}, {"gva", "2"}},
           {{"gva", "1"}, {"pid", "4294967296"}},
           {{"gva", "1"}, {"vcpu", "x"}},
           {{"gva", "1"}, {"process", ""}},
           {{"gva", "1"}, {"cr3", "0"}, {"pid", "1"}},
           {{"gva", "1"}, {"process", "sh"}, {"pid", "1"}},
           {{"gva", "1"}, {"depth", "2"}},
       }) {
    const auto response = get(vm, "/vm/walk", query);
    EXPECT_EQ(response.status, 400) << response.body;
  }
  EXPECT_THAT(vm.calls(), IsEmpty());
}

TEST(Routes, UnknownPathsAndMethodsAreRefused) {
  testing::FakeVm vm;
  EXPECT_EQ(get(vm, "/").status, 404);
  EXPECT_EQ(get(vm, "/vm/").status, 404);
  EXPECT_EQ(get(vm, "/VM").status, 404);
  EXPECT_EQ(get(vm, "/vm/../vm").status, 404);
  const auto put = handle_request(vm, {"PUT", "/vm", {}, "{}"});
  EXPECT_EQ(put.status, 405);
  EXPECT_EQ(put.allow, "GET");
  EXPECT_THAT(http::to_wire(put), HasSubstr("Allow: GET\r\n"));
  EXPECT_EQ(handle_request(vm, {"GET", "/vm/state", {}, {}}).allow, "PUT");
  EXPECT_EQ(handle_request(vm, {"DELETE", "/vm/walk", {}, {}}).status, 405);
  EXPECT_EQ(get(vm, "/vm", {{"verbose", "1"}}).status, 400);
  EXPECT_EQ(handle_request(vm, {"GET", "/vm", {}, "{}"}).status, 400);
  EXPECT_EQ(handle_request(vm, {"PUT", "/vm/state", {{"a", "b"}}, R"({"state": "paused"})"}).status, 400);
  EXPECT_THAT(vm.calls(), IsEmpty());
}

// Reads no YAML but this file's own layout: paths indented by two, their methods by four.
std::vector<std::string> documented_routes() {
  std::ifstream file(TWOFOLD_OPENAPI);
  std::vector<std::string> routes;
  std::string path;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_match(line, match, std::regex("  (/[a-z/]*):"))) path = match[1];
    if (std::regex_match(line, match, std::regex("    (get|put|post|delete|patch):"))) {
      std::string method = match[1];
      for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
      routes.push_back(fmt::format("{} {}", method, path));
    }
  }
  return routes;
}

TEST(Routes, OpenApiDocumentsEachOfThem) {
  EXPECT_THAT(documented_routes(), UnorderedElementsAreArray(route_names()));
}

}  // namespace
}  // namespace twofold
