#include "vmm/devices/escape_filter.h"

namespace twofold {

size_t EscapeFilter::filter(std::span<char> bytes) {
  size_t kept = 0;
  for (const char key : bytes) {
    if (quit_) break;
    if (!escaped_ && key == kEscape) {
      escaped_ = true;
      continue;
    }
    if (!escaped_ || key == kEscape) bytes[kept++] = key;
    quit_ = escaped_ && key == 'x';
    escaped_ = false;
  }
  return kept;
}

}  // namespace twofold
