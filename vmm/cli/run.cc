#include "vmm/cli/run.h"

#include <spdlog/spdlog.h>

namespace twofold::cli {

int run_command(const RunOptions& options) {
  spdlog::error("cannot run kernel '{}': the machine is not built in yet", options.kernel);
  return 4;
}

}  // namespace twofold::cli
