#include <nlohmann/json.hpp>

#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/control/json_text.h"
#include "vmm/memory/walk_view.h"

namespace twofold::cli {

int walk_command(const std::string& vm, const WalkRequest& request, bool json) {
  const auto registry = Registry::open();
  if (!registry) return complain(registry.error().message, kFailed);
  const auto found = registry->find(vm);
  if (!found) return complain(found.error().message, kFailed);
  const auto walk = VmClient(*found).walk(request);
  if (!walk) return complain(walk.error().message, kFailed);
  fmt::print("{}", json ? json_text(*walk, 2) + "\n" : walk_text(*walk));
  return kOk;
}

}  // namespace twofold::cli
