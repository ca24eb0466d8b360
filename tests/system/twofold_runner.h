// Starts `twofold` as its users do. Paths come from the build; the lab carries them in unchanged.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace twofold::test {

using namespace std::chrono_literals;

// Emulated machines are slow and share two cores: limits only guard against hangs.
inline constexpr auto kLimit = 60s;

std::string twofold_binary();
std::string test_kernel(const std::string& name);  // tests/kernels/NAME.S
std::string guest_kernel();
std::string guest_initrd();

// argv of `twofold run KERNEL ARGS…`.
std::vector<std::string> run_command(const std::string& kernel, const std::vector<std::string>& arguments = {});

// Our guest with an interactive shell on `process`'s pipes, after its first prompt.
Process boot_shell(const std::string& name, const std::vector<std::string>& arguments = {},
                   Process::Terminal terminal = Process::Terminal::kNo);

// Sends one line to a shell and waits for `answer`.
[[nodiscard]] bool ask(Process& shell, const std::string& line, const std::string& answer,
                       std::chrono::milliseconds limit = kLimit);

// A fresh directory that is removed with everything in it.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/" + name; }

 private:
  std::string root_;
};

}  // namespace twofold::test
