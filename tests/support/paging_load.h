// The load that the guest's paging is tested with, on Twofold and on QEMU alike: four processes whose memory is twice
// the guest's, and a million operations that check every byte they read.
#pragma once

#include <cstdlib>
#include <string>

namespace twofold::test {

inline constexpr int kLoadProcesses = 4;
inline constexpr int kLoadOperations = 250'000;  // of each process

// Whether long tests run at their full length, also where an emulated machine takes minutes for them: with
// TWOFOLD_FULL_TESTS in the environment.
inline bool full_tests() {
  return std::getenv("TWOFOLD_FULL_TESTS") != nullptr;
}

// For `run="…"`, in a guest of 16 MiB with a swap disk of 64 MiB. It ends well if all processes do.
inline std::string verified_load(int operations) {
  std::string line;
  for (int i = 1; i <= kLoadProcesses; ++i) {
    line += "kvload 8 --ops " + std::to_string(operations) + " --seed " + std::to_string(i) + " & ";
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
