// The load that the guest's paging is tested with, on Twofold and on QEMU alike: four processes whose memory is twice
// the guest's, and a million operations that check every byte they read.
#pragma once

#include <string>

namespace twofold::test {

inline constexpr int kLoadProcesses = 4;
inline constexpr int kLoadOperations = 250'000;  // of each process

// For `run="…"`, in a guest of 16 MiB with a swap disk of 64 MiB. The audit is the shell's last word: $? of wait.
inline std::string million_operations() {
  std::string line;
  for (int i = 1; i <= kLoadProcesses; ++i) {
    line += "kvload 8 --ops " + std::to_string(kLoadOperations) + " --seed " + std::to_string(i) + " & ";
  }
  return line + "wait && vmstat";
}

// How often `part` stands in `text`.
inline int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace twofold::test
