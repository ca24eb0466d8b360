#include "vmm/control/routes.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "vmm/control/json_text.h"
#include "vmm/control/memory_routes.h"
#include "vmm/control/numbers.h"

namespace twofold {

namespace {

using http::error_response;
using http::Request;
using http::Response;

Response json_response(int status, const nlohmann::json& body) {
  return Response{status, json_text(body), {}};
}

Response get_vm(VmService& vm, const Request&) {
  return json_response(200, to_json(vm.info()));
}

// Reads {"state": "…"} and nothing else.
Result<std::string> parse_state(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fail("the body is not valid JSON");
  if (!json.is_object()) return fail("the body must be a JSON object such as {{\"state\": \"paused\"}}");
  for (const auto& [key, value] : json.items()) {
    if (key != "state") return fail("unknown field '{}': PUT /vm/state takes \"state\" alone", key);
    if (!value.is_string()) return fail("\"state\" must be a string, not {}", value.type_name());
  }
  if (json.empty()) return fail("the field \"state\" is missing");
  return json["state"].get<std::string>();
}

Response put_state(VmService& vm, const Request& request) {
  const auto wanted = parse_state(request.body);
  if (!wanted) return error_response(400, wanted.error().message);
  Status done;
  if (*wanted == "paused") {
    done = vm.pause();
  } else if (*wanted == "running") {
    done = vm.resume();
  } else if (*wanted == "stopped") {
    done = vm.stop();
  } else {
    return error_response(400, fmt::format("no state '{}': use paused, running or stopped", *wanted));
  }
  if (!done) return error_response(409, done.error().message);
  // Stopping is only begun by now.
  return json_response(*wanted == "stopped" ? 202 : 200, to_json(vm.info()));
}

Status set_walk_field(WalkRequest& walk, const std::string& name, const std::string& value) {
  if (name == "process") {
    if (value.empty()) return fail("process wants a name");
    walk.process = value;
    return {};
  }
  const bool is_address = name == "gva" || name == "cr3";
  const auto number = parse_number(value, is_address ? UINT64_MAX : UINT32_MAX);
  if (!number) return fail("{}: {}", name, number.error().message);
  if (name == "gva") walk.gva = Gva{*number};
  if (name == "cr3") walk.cr3 = *number;
  if (name == "pid") walk.pid = static_cast<uint32_t>(*number);
  if (name == "vcpu") walk.vcpu = static_cast<uint32_t>(*number);
  return {};
}

Result<WalkRequest> parse_walk(const Request& request) {
  constexpr std::array<std::string_view, 5> kFields = {"gva", "cr3", "pid", "process", "vcpu"};
  WalkRequest walk;
  std::vector<std::string> seen;
  for (const auto& [name, value] : request.query) {
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
      return fail("unknown parameter '{}': use gva, and cr3, pid or process, and vcpu", name);
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) return fail("parameter '{}' is given twice", name);
    seen.push_back(name);
    if (auto done = set_walk_field(walk, name, value); !done) return pass_on(done);
  }
  if (std::find(seen.begin(), seen.end(), "gva") == seen.end()) return fail("the parameter gva is missing");
  if (int{walk.cr3.has_value()} + int{walk.pid.has_value()} + int{walk.process.has_value()} > 1) {
    return fail("give one of cr3, pid and process, not several");
  }
  return walk;
}

Response get_walk(VmService& vm, const Request& request) {
  const auto walk = parse_walk(request);
  if (!walk) return error_response(400, walk.error().message);
  const auto steps = vm.walk(*walk);
  return steps ? json_response(200, *steps) : error_response(409, steps.error().message);
}

Response get_processes(VmService& vm, const Request&) {
  const auto processes = vm.processes();
  return processes ? json_response(200, *processes) : error_response(409, processes.error().message);
}

struct Route {
  std::string_view method;
  std::string_view path;
  bool takes_query;
  bool takes_body;
  Response (*handle)(VmService&, const Request&);
};

constexpr std::array<Route, 10> kRoutes = {{
    {"GET", "/vm", false, false, get_vm},
    {"PUT", "/vm/state", false, true, put_state},
    {"GET", "/vm/walk", true, false, get_walk},
    {"GET", "/vm/processes", false, false, get_processes},
    {"GET", "/vm/balloon", false, false, get_balloon},
    {"PUT", "/vm/balloon", false, true, put_balloon},
    {"GET", "/vm/memory", false, false, get_memory},
    {"GET", "/vm/merging", false, false, get_merging},
    {"PUT", "/vm/merging", false, true, put_merging},
    {"GET", "/metrics", false, false, get_metrics},
}};

}  // namespace

Response handle_request(VmService& vm, const Request& request) {
  std::string allowed;
  for (const Route& route : kRoutes) {
    if (route.path != request.path) continue;
    if (route.method != request.method) {
      allowed += allowed.empty() ? "" : ", ";
      allowed += route.method;
      continue;
    }
    if (!route.takes_query && !request.query.empty()) {
      return error_response(400, fmt::format("{} takes no parameters", request.path));
    }
    if (!route.takes_body && !request.body.empty()) {
      return error_response(400, fmt::format("{} {} takes no body", request.method, request.path));
    }
    return route.handle(vm, request);
  }
  if (allowed.empty()) return error_response(404, fmt::format("no route {}", request.path));
  Response response = error_response(405, fmt::format("{} takes {} only", request.path, allowed));
  response.allow = allowed;
  return response;
}

std::vector<std::string> route_names() {
  std::vector<std::string> names;
  names.reserve(kRoutes.size());
  for (const Route& route : kRoutes) names.push_back(fmt::format("{} {}", route.method, route.path));
  return names;
}

nlohmann::json to_json(const VmInfo& info) {
  nlohmann::json json = {
      {"name", info.name},
      {"pid", info.pid},
      {"state", state_name(info.state)},
      {"cpus", info.cpus},
      {"memory_bytes", info.memory_bytes},
      {"resident_bytes", info.resident_bytes},
      {"kernel", info.kernel},
      {"uptime_seconds", info.uptime_seconds},
      {"exit_status", nullptr},
      {"unknown_ports", info.unknown_ports},
      {"unknown_mmio", info.unknown_mmio},
  };
  if (info.exit_status) json["exit_status"] = *info.exit_status;
  return json;
}

const char* state_name(VmState state) {
  switch (state) {
    case VmState::kCreated:
      return "created";
    case VmState::kRunning:
      return "running";
    case VmState::kPaused:
      return "paused";
    case VmState::kStopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace twofold
