// QEMU's machine protocol (QMP), as far as a test needs it: a command, and its answer.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "vmm/base/fd.h"

namespace twofold::test {

// One connection. For one thread. Everything throws std::runtime_error that does not work in the time.
class Qmp {
 public:
  // Connects to the Unix socket at `path`, which QEMU makes when it starts (-qmp unix:PATH,server=on,wait=off).
  Qmp(const std::string& path, std::chrono::milliseconds limit);

  // Runs a command and returns what it returns; events that come in between are skipped.
  nlohmann::json execute(const std::string& command, const nlohmann::json& arguments = nlohmann::json::object());

 private:
  nlohmann::json read_message();

  UniqueFd fd_;
  std::chrono::milliseconds limit_;
  std::string buffer_;
};

}  // namespace twofold::test
