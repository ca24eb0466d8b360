// The demo's main job: two guests at once, one shell session typed into both, their consoles side by side; then a
// two-dimensional walk, and what each guest takes of the host's memory.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "vmm/base/size.h"

namespace twofold {
namespace {

using namespace std::chrono_literals;
using test::Process;

constexpr size_t kColumn = 58;
constexpr uint64_t kGuestBytes = 32 * MiB;
const std::string kBuild = TWOFOLD_BUILD_DIR;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::erase(line, '\r');
    for (; line.size() > kColumn; line.erase(0, kColumn)) lines.push_back(line.substr(0, kColumn));
    lines.push_back(line);
  }
  return lines;
}

void print_row(const std::string& left, const std::string& right) {
  std::puts(fmt::format("{:<{}} │ {}", left, kColumn, right).c_str());
}

void print_side_by_side(const std::string& left, const std::string& right) {
  auto a = lines_of(left);
  auto b = lines_of(right);
  a.resize(std::max(a.size(), b.size()));
  b.resize(a.size());
  for (size_t i = 0; i < a.size(); ++i) print_row(a[i], b[i]);
  std::fflush(stdout);
}

void heading(const std::string& text) {
  std::puts(("\n\x1b[1m" + text + "\x1b[0m").c_str());
  std::fflush(stdout);
}

// A guest with its shell: what it printed since it was last asked.
class Guest {
 public:
  explicit Guest(const std::string& name)
      : process_({kBuild + "/bin/twofold", "run", kBuild + "/guest/twofold-guest.elf", "--initrd",
                  kBuild + "/guest/initrd.cpio", "--memory", "32M", "--name", name}) {}

  void type(const std::string& command) const { process_.send(command + "\n"); }

  // All output up to the next prompt, the prompt itself not included.
  std::string until_prompt() {
    if (!process_.wait_for("$ ", 60s)) {
      throw std::runtime_error("no prompt came; the guest printed:\n" + process_.output() + process_.errors());
    }
    const std::string& all = process_.output();
    const std::string text = all.substr(shown_, all.size() - shown_);
    shown_ = all.size();
    return text.substr(0, text.rfind("$ "));
  }

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  Process& process() { return process_; }

 private:
  Process process_;
  size_t shown_ = 0;
};

int run_twofold(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {kBuild + "/bin/twofold"};
  std::string shown = "twofold";
  for (const auto& argument : arguments) {
    argv.push_back(argument);
    shown += " " + argument;
  }
  std::puts(("\x1b[2m# " + shown + "\x1b[0m").c_str());
  const auto done = test::run(argv, 30s);
  std::fputs((done.output + done.errors).c_str(), stdout);
  std::fflush(stdout);
  return done.status;
}

// Proportional set size of the process in KiB: of guest RAM, and of all the rest.
struct Memory {
  uint64_t ram_kib = 0;
  uint64_t own_kib = 0;
};

Memory memory_of(pid_t pid) {
  Memory memory;
  std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
  bool ram = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "Size: %llu kB", &kib) == 1) ram = kib * KiB == kGuestBytes;
    if (std::sscanf(line.c_str(), "Pss: %llu kB", &kib) == 1) (ram ? memory.ram_kib : memory.own_kib) += kib;
  }
  return memory;
}

int session() {
  heading("Two guests boot at once, each with 32 MiB, on two-dimensional page tables");
  Guest a("alpha");
  Guest b("beta");
  const std::string boot_a = a.until_prompt();
  const std::string boot_b = b.until_prompt();
  print_row("alpha", "beta");
  print_side_by_side(boot_a, boot_b);

  for (const std::string& command :
       {std::string("ps"), std::string("forktest"), std::string("touchmem 4"), std::string("free")}) {
    heading("The same typed into both: " + command);
    a.type(command);
    b.type(command);
    const std::string left = a.until_prompt();
    print_side_by_side("$ " + left, "$ " + b.until_prompt());
  }

  heading("Where does address 0x5123 of a process really lie? The walk in two dimensions");
  a.type("touchmem 1 60 &");
  (void)a.until_prompt();
  if (!a.process().wait_for("verified", 30s)) throw std::runtime_error("touchmem did not come to hold its memory");
  int status = run_twofold({"walk", "alpha", "0x5123", "--process", "touchmem"});

  heading("What each guest takes of the host's memory");
  status |= run_twofold({"ps"});
  for (const auto& [name, pid] : {std::pair{"alpha", a.pid()}, std::pair{"beta", b.pid()}}) {
    const Memory memory = memory_of(pid);
    std::puts(fmt::format("{:<6} promised {}, touched {:.1f} MiB of it; the VMM itself takes {:.1f} MiB", name,
                          format_size(kGuestBytes), static_cast<double>(memory.ram_kib) / 1024.0,
                          static_cast<double>(memory.own_kib) / 1024.0)
                  .c_str());
  }

  heading("Good night");
  status |= run_twofold({"stop", "alpha"});
  status |= run_twofold({"stop", "beta"});
  for (Guest* guest : {&a, &b}) {
    const auto ending = guest->process().wait(10s);
    if (!ending || ending->status != 106) throw std::runtime_error("a guest did not stop when asked to");
  }
  status |= run_twofold({"ps"});
  return status;
}

}  // namespace
}  // namespace twofold

int main() {
  try {
    return twofold::session() == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "demo: %s\n", error.what());
    return 1;
  }
}
