// JSON to text in the one way that cannot throw: bytes that are no UTF-8 (file names, guests' process names) become
// U+FFFD.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace twofold {

// `indent` spaces a level; -1 for one line.
[[nodiscard]] std::string json_text(const nlohmann::json& json, int indent = -1);

}  // namespace twofold
