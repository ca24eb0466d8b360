#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace twofold::test {

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe() {
  std::array<int, 2> fds;
  if (::pipe2(fds.data(), O_CLOEXEC) < 0) throw std::runtime_error("pipe2: " + errno_text(errno));
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::chrono::milliseconds left(Clock::time_point deadline) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()));
}

[[noreturn]] void become(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  std::signal(SIGPIPE, SIG_DFL);
  for (const auto& entry : environment) ::putenv(const_cast<char*>(entry.c_str()));
  std::vector<char*> pointers;
  for (const auto& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}

// Appends what can be read now. False at the end of the stream (a terminal ends with EIO).
bool read_some(int fd, std::string& to) {
  std::array<char, 4096> buffer;
  const ssize_t n = ::read(fd, buffer.data(), buffer.size());
  if (n > 0) to.append(buffer.data(), static_cast<size_t>(n));
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace

Process::Process(std::vector<std::string> argv, Terminal terminal, std::vector<std::string> environment) {
  std::signal(SIGPIPE, SIG_IGN);  // a child that is gone is found out by write(), not by our own death
  Pipe errors = make_pipe();
  Pipe input;
  Pipe output;
  UniqueFd master;
  UniqueFd slave;
  if (terminal == Terminal::kYes) {
    int master_fd = -1;
    int slave_fd = -1;
    winsize size = {24, 80, 0, 0};
    if (::openpty(&master_fd, &slave_fd, nullptr, nullptr, &size) < 0) {
      throw std::runtime_error("openpty: " + errno_text(errno));
    }
    master = UniqueFd(master_fd);
    slave = UniqueFd(slave_fd);
    ::fcntl(master_fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(slave_fd, F_SETFD, FD_CLOEXEC);
  } else {
    input = make_pipe();
    output = make_pipe();
  }

  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork: " + errno_text(errno));
  if (pid_ == 0) {
    if (slave) {
      ::login_tty(::dup(slave.get()));
    } else {
      ::dup2(input.read.get(), STDIN_FILENO);
      ::dup2(output.write.get(), STDOUT_FILENO);
    }
    ::dup2(errors.write.get(), STDERR_FILENO);
    become(argv, environment);
  }

  errors_fd_ = std::move(errors.read);
  if (master) {
    terminal_ = master.get();
    slave_ = std::move(slave);
    input_ = UniqueFd(::dup(master.get()));
    output_fd_ = std::move(master);
  } else {
    input_ = std::move(input.write);
    output_fd_ = std::move(output.read);
  }
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      input_(std::move(other.input_)),
      output_fd_(std::move(other.output_fd_)),
      errors_fd_(std::move(other.errors_fd_)),
      terminal_(other.terminal_),
      slave_(std::move(other.slave_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)),
      seen_(other.seen_),
      ending_(other.ending_) {}

Process::~Process() {
  if (pid_ > 0 && !ending_) {
    ::kill(pid_, SIGKILL);
    reap(0);
  }
}

void Process::send(const std::string& text) const {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(input_.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) throw std::runtime_error("write to the child: " + errno_text(errno));
    if (n > 0) done += static_cast<size_t>(n);
  }
}

bool Process::pump(std::chrono::milliseconds limit) {
  std::array<pollfd, 2> fds = {pollfd{output_fd_.get(), POLLIN, 0}, pollfd{errors_fd_.get(), POLLIN, 0}};
  if (fds[0].fd < 0 && fds[1].fd < 0) return false;
  if (::poll(fds.data(), fds.size(), static_cast<int>(limit.count())) <= 0) return true;
  if (fds[0].revents != 0 && !read_some(output_fd_.get(), output_)) output_fd_.reset();
  if (fds[1].revents != 0 && !read_some(errors_fd_.get(), errors_)) errors_fd_.reset();
  return true;
}

bool Process::wait_for(const std::string& text, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  for (;;) {
    const size_t found = output_.find(text, seen_);
    if (found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (!output_fd_ || left(deadline).count() == 0) return false;
    pump(left(deadline));
  }
}

void Process::signal(int number) const {
  ::kill(pid_, number);
}

bool Process::reap(int options) {
  int status = 0;
  if (::waitpid(pid_, &status, options) != pid_) return false;
  ending_.emplace();
  if (WIFEXITED(status)) ending_->status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ending_->signal = WTERMSIG(status);
  return true;
}

std::optional<Ending> Process::wait(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (!ending_) {
    if (reap(WNOHANG)) break;
    if (left(deadline).count() == 0) return std::nullopt;
    // Short waits: a child's end shows on its pipes only if it left no heirs that hold them open.
    if (!pump(std::min(left(deadline), std::chrono::milliseconds(20)))) ::usleep(2000);
  }
  // What it wrote last. Bounded, because an heir may hold the pipes.
  for (int i = 0; i < 50 && (output_fd_ || errors_fd_); ++i) pump(std::chrono::milliseconds(2));
  return ending_;
}

Finished run(std::vector<std::string> argv, std::chrono::milliseconds limit, std::vector<std::string> environment) {
  const std::string name = argv.at(0);
  Process process(std::move(argv), Process::Terminal::kNo, std::move(environment));
  process.close_input();
  const auto ending = process.wait(limit);
  if (!ending) throw std::runtime_error(name + " did not end in time; it printed:\n" + process.output());
  return {ending->status.value_or(-ending->signal.value_or(0)), process.output(), process.errors()};
}

}  // namespace twofold::test
