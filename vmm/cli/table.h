// Columns for people.
#pragma once

#include <string>
#include <vector>

namespace twofold::cli {

// Lines whose columns are as wide as their widest cell (in bytes), two spaces apart. The first row is the heading.
// Control characters show as '?', so that no guest and no file name can write escape sequences to a terminal.
[[nodiscard]] std::string table_text(const std::vector<std::vector<std::string>>& rows);

// "0.4 s", "59.9 s", "12m 05s", "3h 07m", "2d 01h".
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace twofold::cli
