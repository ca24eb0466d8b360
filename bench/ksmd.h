// The kernel's own merger, as a peer: its settings (Documentation/admin-guide/mm/ksm.rst), restored when this goes.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace twofold::bench {

class Ksmd {
 public:
  // Throws std::runtime_error where the kernel has no KSM or this process may not steer it, and where it is at work
  // already: somebody else's pages would be counted.
  Ksmd();
  Ksmd(const Ksmd&) = delete;
  Ksmd& operator=(const Ksmd&) = delete;
  ~Ksmd();

  enum class Pace : uint8_t { kDefault, kMaxedOut };
  void start(Pace pace);
  // Gives every page its own copy again, and stops.
  void unmerge();

  // Frames saved just now: those that share a page with others, less the pages themselves.
  [[nodiscard]] static uint64_t saved_frames();
  [[nodiscard]] static uint64_t full_scans();
  // That its thread has used, ever.
  [[nodiscard]] double cpu_seconds() const;

 private:
  std::map<std::string, std::string> before_;
  std::string stat_path_;
};

}  // namespace twofold::bench
