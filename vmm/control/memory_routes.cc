#include "vmm/control/memory_routes.h"

#include <nlohmann/json.hpp>

#include "vmm/control/json_text.h"

namespace twofold {

namespace {

using http::error_response;
using http::Request;
using http::Response;

nlohmann::json to_json(const BalloonInfo& info) {
  nlohmann::json json = {
      {"target_bytes", info.target_bytes},         {"actual_bytes", info.actual_bytes},
      {"driver_ready", info.driver_ready},         {"seconds_since_progress", info.seconds_since_progress},
      {"seconds_since_statistics", nullptr},       {"statistics", nlohmann::json::object()},
      {"inflate_requests", info.inflate_requests}, {"deflate_requests", info.deflate_requests},
      {"report_requests", info.report_requests},   {"bad_frames", info.bad_frames},
  };
  if (info.seconds_since_statistics) json["seconds_since_statistics"] = *info.seconds_since_statistics;
  for (const auto& [name, value] : info.statistics) json["statistics"][name] = value;
  return json;
}

nlohmann::json to_json(const MemoryInfo& info) {
  return {
      {"promised_bytes", info.promised_bytes},
      {"resident_bytes", info.resident_bytes},
      {"huge_bytes", info.huge_bytes},
      {"swapped_bytes", info.swapped_bytes},
      {"ballooned_bytes", info.ballooned_bytes},
      {"inflated_bytes_total", info.inflated_bytes},
      {"deflated_bytes_total", info.deflated_bytes},
      {"reported_bytes_total", info.reported_bytes},
      {"discard_calls_total", info.discard_calls},
      {"minor_faults_total", info.minor_faults},
      {"major_faults_total", info.major_faults},
  };
}

// Reads {"target_bytes": N} and nothing else.
Result<uint64_t> parse_target(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fail("the body is not valid JSON");
  if (!json.is_object()) return fail("the body must be a JSON object such as {{\"target_bytes\": 33554432}}");
  for (const auto& [key, value] : json.items()) {
    if (key != "target_bytes") return fail("unknown field '{}': PUT /vm/balloon takes \"target_bytes\" alone", key);
    if (!value.is_number_unsigned()) {
      return fail("\"target_bytes\" must be a whole number of bytes, not {}",
                  value.is_number() ? value.dump() : value.type_name());
    }
  }
  if (json.empty()) return fail("the field \"target_bytes\" is missing");
  return json["target_bytes"].get<uint64_t>();
}

nlohmann::json to_json(const MergingInfo& info) {
  nlohmann::json json = {{"state", info.on ? "on" : "off"}, {"cpu_seconds", info.cpu_seconds}};
  for (const auto& [name, value] : info.counts) json[name] = value;
  json["writer_waits_below_microseconds"] = nlohmann::json::array();
  for (size_t n = 0; n < info.waits.size(); ++n) {
    if (info.waits[n] > 0) json["writer_waits_below_microseconds"].push_back({1u << n, info.waits[n]});
  }
  return json;
}

// Reads {"state": "on"} or {"state": "off"} and nothing else.
Result<bool> parse_merging(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json == nlohmann::json{{"state", "on"}}) return true;
  if (json == nlohmann::json{{"state", "off"}}) return false;
  return fail("PUT /vm/merging takes {{\"state\": \"on\"}} or {{\"state\": \"off\"}}");
}

// Prometheus's text format: a metric with its type, and the VM's name as a label.
class Metrics {
 public:
  explicit Metrics(const std::string& vm) : vm_(vm), label_(fmt::format("{{vm=\"{}\"}}", vm)) {}

  void add(const char* type, const std::string& name, double value) {
    text_ += fmt::format("# TYPE twofold_{0} {1}\ntwofold_{0}{2} {3}\n", name, type, label_, value);
  }
  void gauge(const std::string& name, double value) { add("gauge", name, value); }
  void counter(const std::string& name, double value) { add("counter", name, value); }
  // `counts`: how many values lay below 2^n microseconds and not below the half of it, by n. Prometheus sums them up.
  void histogram(const std::string& name, const std::vector<uint64_t>& counts, double sum) {
    text_ += fmt::format("# TYPE twofold_{} histogram\n", name);
    uint64_t below = 0;
    for (size_t n = 0; n < counts.size(); ++n) {
      below += counts[n];
      const std::string bound =
          n + 1 == counts.size() ? "+Inf" : fmt::format("{}", static_cast<double>(1u << n) * 1e-6);
      text_ += fmt::format("twofold_{}_bucket{{vm=\"{}\",le=\"{}\"}} {}\n", name, vm_, bound, below);
    }
    text_ += fmt::format("twofold_{0}_sum{1} {2}\ntwofold_{0}_count{1} {3}\n", name, label_, sum, below);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string vm_;
  std::string label_;  // names are letters, digits and "._-": nothing to escape
  std::string text_;
};

void add_balloon(Metrics& metrics, const BalloonInfo& info) {
  metrics.gauge("balloon_target_bytes", static_cast<double>(info.target_bytes));
  metrics.gauge("balloon_actual_bytes", static_cast<double>(info.actual_bytes));
  metrics.gauge("balloon_driver_ready", info.driver_ready ? 1 : 0);
  metrics.gauge("balloon_seconds_since_progress", info.seconds_since_progress);
  for (const auto& [name, value] : info.statistics) metrics.gauge("guest_" + name, static_cast<double>(value));
}

void add_merging(Metrics& metrics, const MergingInfo& info) {
  metrics.gauge("merge_on", info.on ? 1 : 0);
  for (const auto& [name, value] : info.counts) {
    metrics.add(name.ends_with("_total") ? "counter" : "gauge", "merge_" + name, static_cast<double>(value));
  }
  metrics.counter("merge_cpu_seconds_total", info.cpu_seconds);
  metrics.histogram("merge_writer_wait_seconds", info.waits, info.wait_seconds);
}

}  // namespace

Response get_balloon(VmService& vm, const Request&) {
  const auto info = vm.balloon();
  if (!info) return error_response(409, info.error().message);
  return {200, json_text(to_json(*info)), {}};
}

Response put_balloon(VmService& vm, const Request& request) {
  const auto target = parse_target(request.body);
  if (!target) return error_response(400, target.error().message);
  const auto now = vm.balloon();
  if (!now) return error_response(409, now.error().message);
  if (*target > now->most_bytes) {
    return error_response(400, fmt::format("\"target_bytes\" is {}, and the guest has {} bytes of memory in all",
                                           *target, now->most_bytes));
  }
  if (auto done = vm.set_balloon_target(*target); !done) return error_response(409, done.error().message);
  return get_balloon(vm, request);
}

Response get_memory(VmService& vm, const Request&) {
  return {200, json_text(to_json(vm.memory())), {}};
}

Response get_merging(VmService& vm, const Request&) {
  const auto info = vm.merging();
  if (!info) return error_response(409, info.error().message);
  return {200, json_text(to_json(*info)), {}};
}

Response put_merging(VmService& vm, const Request& request) {
  const auto on = parse_merging(request.body);
  if (!on) return error_response(400, on.error().message);
  if (auto done = vm.set_merging(*on); !done) return error_response(409, done.error().message);
  return get_merging(vm, request);
}

Response get_metrics(VmService& vm, const Request&) {
  const VmInfo info = vm.info();
  const MemoryInfo memory = vm.memory();
  Metrics metrics(info.name);
  metrics.gauge("running", info.state == VmState::kRunning ? 1 : 0);
  metrics.gauge("cpus", info.cpus);
  metrics.gauge("uptime_seconds", info.uptime_seconds);
  metrics.gauge("memory_promised_bytes", static_cast<double>(memory.promised_bytes));
  metrics.gauge("memory_resident_bytes", static_cast<double>(memory.resident_bytes));
  metrics.gauge("memory_huge_bytes", static_cast<double>(memory.huge_bytes));
  metrics.gauge("memory_swapped_bytes", static_cast<double>(memory.swapped_bytes));
  metrics.gauge("memory_ballooned_bytes", static_cast<double>(memory.ballooned_bytes));
  metrics.counter("memory_inflated_bytes_total", static_cast<double>(memory.inflated_bytes));
  metrics.counter("memory_deflated_bytes_total", static_cast<double>(memory.deflated_bytes));
  metrics.counter("memory_reported_bytes_total", static_cast<double>(memory.reported_bytes));
  metrics.counter("memory_discard_calls_total", static_cast<double>(memory.discard_calls));
  metrics.counter("minor_faults_total", static_cast<double>(memory.minor_faults));
  metrics.counter("major_faults_total", static_cast<double>(memory.major_faults));
  metrics.counter("unknown_ports_total", static_cast<double>(info.unknown_ports));
  metrics.counter("unknown_mmio_total", static_cast<double>(info.unknown_mmio));
  if (const auto balloon = vm.balloon()) add_balloon(metrics, *balloon);
  if (const auto merging = vm.merging()) add_merging(metrics, *merging);
  Response response{200, metrics.text(), {}};
  response.type = "text/plain; version=0.0.4";
  return response;
}

}  // namespace twofold
