// Logs go to stderr through spdlog, one line each: "twofold: warning: …". The guest's console has stdout for itself.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace twofold {

// Sets the process's default logger. `level` is spdlog's name for the least level shown ("info", "debug", …).
// Call once, from main, before threads start. An unknown level falls back to "info".
void init_log(const std::string& level);

}  // namespace twofold
