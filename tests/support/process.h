// A program under test as a child process: started, fed, read with a time limit, and always reaped.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/fd.h"

namespace twofold::test {

// How a child ended, as wait4 tells it.
struct Ending {
  std::optional<int> status;  // exit status, if it exited
  std::optional<int> signal;  // signal, if that killed it
};

// One child. Its stdout and stderr are read separately. Destroying it kills (SIGKILL) and reaps a child that still
// runs. For one thread.
class Process {
 public:
  enum class Terminal : uint8_t { kNo, kYes };

  // Starts argv[0] (a path) with `argv`, adding `environment` ("NAME=value") to ours. With Terminal::kYes stdin and
  // stdout are a pseudo-terminal of 80×24; else pipes. Throws std::runtime_error if it cannot start.
  explicit Process(std::vector<std::string> argv, Terminal terminal = Terminal::kNo,
                   std::vector<std::string> environment = {});
  Process(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }

  // Writes to the child's stdin; close_input() is its end of file.
  void send(const std::string& text) const;
  void close_input() { input_.reset(); }

  // Reads until stdout so far holds `text` past the place where the last wait_for() left off. False at the time limit
  // or at the end of output.
  [[nodiscard]] bool wait_for(const std::string& text, std::chrono::milliseconds limit);

  // Everything read so far.
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] const std::string& errors() const { return errors_; }

  void signal(int number) const;

  // Waits for the end, reading all output meanwhile. nullopt at the time limit.
  std::optional<Ending> wait(std::chrono::milliseconds limit);

  // The terminal's master side, for tcgetattr; -1 without a terminal.
  [[nodiscard]] int terminal() const { return terminal_; }

 private:
  // Reads what there is, waiting no longer than `limit`. False when both outputs have ended.
  bool pump(std::chrono::milliseconds limit);
  bool reap(int options);

  pid_t pid_ = -1;
  UniqueFd input_;
  UniqueFd output_fd_;
  UniqueFd errors_fd_;
  int terminal_ = -1;
  UniqueFd slave_;  // held open, so that the terminal outlives the child and its settings can be looked at
  std::string output_;
  std::string errors_;
  size_t seen_ = 0;
  std::optional<Ending> ending_;
};

// Runs to the end; fails the test run by throwing if that takes longer than `limit`.
struct Finished {
  int status = -1;  // exit status, or -signal
  std::string output;
  std::string errors;
};
Finished run(std::vector<std::string> argv, std::chrono::milliseconds limit, std::vector<std::string> environment = {});

}  // namespace twofold::test
