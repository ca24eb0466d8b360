#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "vmm/base/size.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/control/json_text.h"

namespace twofold::cli {

namespace {

using nlohmann::json;

// What `stats` shows of one VM: answers of the API in one object. A VM without a balloon has a null there, and so has
// one that merges nothing.
Result<json> look(const VmClient& vm) {
  auto info = vm.info();
  if (!info) return info;
  auto memory = vm.memory();
  if (!memory) return memory;
  const auto balloon = vm.balloon();
  const auto merging = vm.merging();
  return json{{"vm", *info},
              {"memory", *memory},
              {"balloon", balloon ? *balloon : json()},
              {"merging", merging ? *merging : json()}};
}

// "name_bytes" as a size, all else as it is. Names come from a VM that may be of another version: nothing is expected.
void print_group(const char* title, const json& group) {
  fmt::print("{}\n", title);
  for (const auto& [key, value] : group.items()) {
    if (value.is_structured() || value.is_null()) continue;
    const bool bytes = key.find("_bytes") != std::string::npos && value.is_number_unsigned();
    const std::string text = bytes                     ? format_size(value.get<uint64_t>())
                             : value.is_number_float() ? fmt::format("{:.1f}", value.get<double>())
                                                       : json_text(value);
    fmt::print("  {:<28} {}\n", key, text);
  }
}

void print_stats(const json& stats) {
  print_group("memory: what the host holds for the guest", stats["memory"]);
  if (stats["merging"].is_object()) print_group("merging: identical pages", stats["merging"]);
  if (!stats["balloon"].is_object()) return;
  print_group("balloon", stats["balloon"]);
  const json guest = stats["balloon"].value("statistics", json::object());
  if (!guest.empty()) print_group("guest: what it says of itself", guest);
}

}  // namespace

int stats_command(const std::string& name, bool watch, bool as_json) {
  const auto registry = Registry::open();
  if (!registry) return complain(registry.error().message, kFailed);
  const auto found = registry->find(name);
  if (!found) return complain(found.error().message, kFailed);
  const VmClient vm(*found);
  const bool clear = watch && !as_json && ::isatty(STDOUT_FILENO) != 0;
  do {
    const auto stats = look(vm);
    if (!stats) return complain(stats.error().message, kFailed);
    if (clear) fmt::print("\x1b[H\x1b[2J");
    if (as_json) {
      fmt::print("{}\n", json_text(*stats, watch ? -1 : 2));
    } else {
      print_stats(*stats);
    }
    std::fflush(stdout);
    if (watch) std::this_thread::sleep_for(std::chrono::seconds(1));
  } while (watch);
  return kOk;
}

int merge_command(const std::string& name, std::optional<bool> on, bool as_json) {
  const auto registry = Registry::open();
  if (!registry) return complain(registry.error().message, kFailed);
  const auto found = registry->find(name);
  if (!found) return complain(found.error().message, kFailed);
  const VmClient vm(*found);
  const auto merging = on ? vm.set_merging(*on) : vm.merging();
  if (!merging) return complain(merging.error().message, kFailed);
  if (as_json) {
    fmt::print("{}\n", json_text(*merging, 2));
  } else {
    print_group("merging: identical pages", *merging);
  }
  return kOk;
}

}  // namespace twofold::cli
