#include "tests/system/twofold_runner.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace twofold::test {

namespace {
const std::string kBuild = TWOFOLD_BUILD_DIR;
}

std::string twofold_binary() {
  return kBuild + "/bin/twofold";
}
std::string test_kernel(const std::string& name) {
  return kBuild + "/kernels/" + name + ".elf";
}
std::string guest_kernel() {
  return kBuild + "/guest/twofold-guest.elf";
}
std::string guest_initrd() {
  return kBuild + "/guest/initrd.cpio";
}

std::vector<std::string> run_command(const std::string& kernel, const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {twofold_binary(), "run", kernel};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

Process boot_shell(const std::string& name, const std::vector<std::string>& arguments, Process::Terminal terminal) {
  std::vector<std::string> all = {"--initrd", guest_initrd(), "--name", name, "--memory", "32M"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  Process shell(run_command(guest_kernel(), all), terminal);
  if (!shell.wait_for("$ ", kLimit)) {
    throw std::runtime_error("no prompt from guest " + name + "; stdout:\n" + shell.output() + "\nstderr:\n" +
                             shell.errors());
  }
  return shell;
}

bool ask(Process& shell, const std::string& line, const std::string& answer, std::chrono::milliseconds limit) {
  shell.send(line + "\n");
  return shell.wait_for(answer, limit);
}

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "twofold-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed on " + pattern);
  root_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

}  // namespace twofold::test
