// How a two-dimensional walk is shown: as JSON, and from that JSON as a picture in text (docs/walk.md).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "vmm/memory/walk.h"

namespace twofold {

// Addresses and raw entries are strings in hexadecimal; counts and sizes in bytes are numbers; what is not known is
// null. A caller may add "vm" (a name) and "process" ({"pid", "name"}), which the text then shows.
nlohmann::json walk_to_json(const TwoDimensionalWalk& walk);

// The picture, at most 100 columns wide, with a line feed at its end. Members that are missing or of the wrong type
// show as "?": never throws on JSON that someone else made.
std::string walk_text(const nlohmann::json& walk);

}  // namespace twofold
