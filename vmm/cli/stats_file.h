// `--stats FILE`: what a run cost, as JSON.
#pragma once

#include <string>

#include "vmm/base/result.h"
#include "vmm/machine/machine.h"

namespace twofold::cli {

// Writes the counters of a machine whose run() has returned. Replaces `path`.
Status write_stats(const std::string& path, const Machine& machine, const StopReason& reason);

}  // namespace twofold::cli
