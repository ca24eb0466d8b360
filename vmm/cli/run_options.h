// `run`'s arguments as typed, and what they mean.
#pragma once

#include <string>
#include <vector>

#include "vmm/cli/run.h"

namespace twofold::cli {

struct RunArguments {
  std::string kernel;
  std::string memory = "64M";
  std::string cpus = "1";
  std::string initrd;
  std::string append;
  std::vector<std::string> disks;
  std::string name;
  std::string console = "stdio";
  std::string balloon = "on";
  std::string merge = "off";
  std::string merge_rate = "100000";
  std::string merge_cpu = "50";
  std::string merge_order = "scan";
  std::string host;
  std::string share_domain;
  std::string stats;
  std::string api;
};

// Errors name the option, what was typed and what it takes.
Result<RunOptions> to_run_options(const RunArguments& arguments);

}  // namespace twofold::cli
