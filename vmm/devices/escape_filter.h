// The keys that talk to Twofold rather than to the guest: Ctrl-A x quits, Ctrl-A Ctrl-A sends one Ctrl-A.
#pragma once

#include <cstddef>
#include <span>

namespace twofold {

// Pure; remembers a Ctrl-A whose second key has not come yet. Any other key after Ctrl-A is swallowed with it, as QEMU
// does. One thread.
class EscapeFilter {
 public:
  static constexpr char kEscape = 0x01;  // Ctrl-A

  // Takes the escapes out of `bytes`, in place, and returns how many bytes are left at its front for the guest. What
  // follows the quitting key is dropped.
  size_t filter(std::span<char> bytes);

  [[nodiscard]] bool quit() const { return quit_; }

 private:
  bool escaped_ = false;
  bool quit_ = false;
};

}  // namespace twofold
