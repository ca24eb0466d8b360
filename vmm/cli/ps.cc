#include <nlohmann/json.hpp>

#include "vmm/base/size.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/table.h"
#include "vmm/control/client.h"
#include "vmm/control/json_text.h"

namespace twofold::cli {

namespace {

using nlohmann::json;

// A VM that is suspended or swamped must not hold up the list of the others for long.
constexpr std::chrono::milliseconds kPatience{1500};

// A member as text, "?" if it is missing: what answers may be another version of Twofold.
std::string text_of(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return "?";
  const json& value = object[key];
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : json_text(value);
}

std::string size_of(const json& object, const char* key) {
  const bool known = object.is_object() && object.contains(key) && object[key].is_number_unsigned();
  return known ? format_size(object[key].get<uint64_t>()) : "-";
}

std::string uptime_of(const json& object) {
  const bool known = object.is_object() && object.contains("uptime_seconds") && object["uptime_seconds"].is_number();
  return known ? duration_text(object["uptime_seconds"].get<double>()) : "-";
}

// Every VM's GET /vm; one that does not answer appears as "silent".
json describe(const std::vector<RegisteredVm>& vms) {
  json list = json::array();
  for (const RegisteredVm& vm : vms) {
    const auto info = VmClient(vm, kPatience).info();
    list.push_back(info ? *info : json{{"name", vm.name}, {"pid", vm.pid}, {"state", "silent"}});
  }
  return list;
}

std::string vm_table(const json& vms) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "PID", "STATE", "CPUS", "MEMORY", "RESIDENT", "UPTIME", "KERNEL"}};
  for (const json& vm : vms) {
    const std::string cpus = vm.contains("cpus") ? text_of(vm, "cpus") : "-";
    const std::string kernel = vm.contains("kernel") ? text_of(vm, "kernel") : "-";
    rows.push_back({text_of(vm, "name"), text_of(vm, "pid"), text_of(vm, "state"), cpus, size_of(vm, "memory_bytes"),
                    size_of(vm, "resident_bytes"), uptime_of(vm), kernel});
  }
  return table_text(rows);
}

int list_vms(const Registry& registry, bool as_json) {
  const auto vms = registry.list();
  if (!vms) return complain(vms.error().message, kFailed);
  const json list = describe(*vms);
  fmt::print("{}", as_json ? json_text(list, 2) + "\n" : vm_table(list));
  return kOk;
}

int list_processes(const Registry& registry, const std::string& name, bool as_json) {
  const auto vm = registry.find(name);
  if (!vm) return complain(vm.error().message, kFailed);
  const auto processes = VmClient(*vm).processes();
  if (!processes) return complain(processes.error().message, kFailed);
  if (as_json) {
    fmt::print("{}\n", json_text(*processes, 2));
    return kOk;
  }
  std::vector<std::vector<std::string>> rows = {{"PID", "CR3", "NAME"}};
  for (const json& process : *processes) {
    rows.push_back({text_of(process, "pid"), text_of(process, "cr3"), text_of(process, "name")});
  }
  fmt::print("{}", table_text(rows));
  return kOk;
}

}  // namespace

int ps_command(const std::string& vm, bool json) {
  const auto registry = Registry::open();
  if (!registry) return complain(registry.error().message, kFailed);
  return vm.empty() ? list_vms(*registry, json) : list_processes(*registry, vm, json);
}

}  // namespace twofold::cli
