#include <nlohmann/json.hpp>

#include "vmm/cli/commands.h"
#include "vmm/control/client.h"

namespace twofold::cli {

int state_command(const std::string& vm, const std::string& state) {
  const auto registry = Registry::open();
  if (!registry) return complain(registry.error().message, kFailed);
  const auto found = registry->find(vm);
  if (!found) return complain(found.error().message, kFailed);
  const auto done = VmClient(*found).set_state(state);
  if (!done) return complain(done.error().message, kFailed);
  return kOk;
}

}  // namespace twofold::cli
