// Raw mode and its undoing, on a pseudo-terminal. Each way out runs in a child process, for handlers are the process's.
#include "vmm/devices/terminal.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <functional>

#include "vmm/base/fd.h"

namespace twofold {
namespace {

constexpr std::array kFatalSignals = {SIGSEGV, SIGABRT, SIGTERM, SIGINT, SIGHUP, SIGBUS, SIGQUIT};

class TerminalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int master = -1;
    int slave = -1;
    ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    master_ = UniqueFd(master);
    slave_ = UniqueFd(slave);
    ASSERT_FALSE(is_raw());
  }

  [[nodiscard]] bool is_raw() const {
    termios mode{};
    EXPECT_EQ(::tcgetattr(slave_.get(), &mode), 0);
    return (mode.c_lflag & (ICANON | ECHO | ISIG)) == 0;
  }

  // Runs `child` with the terminal raw, until it has said so and then ended. Returns its wait status.
  int run(const std::function<void()>& child) {
    std::array<int, 2> said{};
    EXPECT_EQ(::pipe(said.data()), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      for (const int signal : kFatalSignals) std::signal(signal, SIG_DFL);  // sanitizers may have taken some
      auto terminal = Terminal::make_raw(slave_.get());
      const char verdict = terminal && terminal->has_value() && is_raw() ? 'r' : 'n';
      if (::write(said[1], &verdict, 1) != 1) ::_exit(99);
      child();
      terminal->reset();
      ::_exit(0);
    }
    char verdict = 0;
    EXPECT_EQ(::read(said[0], &verdict, 1), 1);
    EXPECT_EQ(verdict, 'r') << "the child's terminal was raw";
    ::close(said[0]);
    ::close(said[1]);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
    pid_ = pid;
    return status;
  }

  UniqueFd master_;
  UniqueFd slave_;
  pid_t pid_ = 0;
};

TEST_F(TerminalTest, RestoredByDestructor) {
  EXPECT_EQ(run([] {}), 0);
  EXPECT_FALSE(is_raw());
}

TEST_F(TerminalTest, RestoredByExit) {
  const int status = run([] { std::exit(3); });  // NOLINT(concurrency-mt-unsafe): one thread
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_FALSE(is_raw());
}

TEST_F(TerminalTest, RestoredByEachFatalSignalWhichStillKills) {
  for (const int signal : kFatalSignals) {
    const int status = run([signal] { ::raise(signal); });
    EXPECT_TRUE(WIFSIGNALED(status)) << signal;
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_FALSE(is_raw()) << signal;
  }
}

TEST_F(TerminalTest, RestoredWhileStopped) {
  const int status = run([] { ::raise(SIGTSTP); });
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_FALSE(is_raw());
  ::kill(pid_, SIGCONT);
  int end = 0;
  EXPECT_EQ(::waitpid(pid_, &end, 0), pid_);
  EXPECT_TRUE(WIFEXITED(end));
  EXPECT_FALSE(is_raw());
}

TEST_F(TerminalTest, RawAgainAfterStop) {
  const int status = run([this] {
    ::raise(SIGTSTP);
    ::_exit(is_raw() ? 7 : 8);  // leaves it raw: _exit is the one way out that cannot be caught
  });
  ASSERT_TRUE(WIFSTOPPED(status));
  ::kill(pid_, SIGCONT);
  int end = 0;
  EXPECT_EQ(::waitpid(pid_, &end, 0), pid_);
  EXPECT_EQ(WEXITSTATUS(end), 7);
}

TEST_F(TerminalTest, ASignalThatSomebodyHandlesStaysTheirs) {
  // In a child of its own: the handler has to be there before.
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::signal(SIGTERM, SIG_IGN);
    const auto terminal = Terminal::make_raw(slave_.get());
    ::raise(SIGTERM);
    ::_exit(terminal && is_raw() ? 5 : 6);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST_F(TerminalTest, OutputKeepsItsCarriageReturns) {
  const auto terminal = Terminal::make_raw(slave_.get());
  ASSERT_TRUE(terminal && terminal->has_value());
  ASSERT_EQ(::write(slave_.get(), "a\n", 2), 2);
  std::array<char, 8> seen{};
  ASSERT_EQ(::read(master_.get(), seen.data(), seen.size()), 3);
  EXPECT_EQ(std::string(seen.data(), 3), "a\r\n");
}

TEST_F(TerminalTest, KeysComeAsTheyAreTyped) {
  const auto terminal = Terminal::make_raw(slave_.get());
  ASSERT_TRUE(terminal && terminal->has_value());
  ASSERT_EQ(::write(master_.get(), "\x03\r\x1a", 3), 3);
  std::array<char, 8> seen{};
  ASSERT_EQ(::read(slave_.get(), seen.data(), seen.size()), 3);
  EXPECT_EQ(std::string(seen.data(), 3), "\x03\r\x1a");
}

TEST_F(TerminalTest, OneAtATime) {
  const auto first = Terminal::make_raw(slave_.get());
  ASSERT_TRUE(first && first->has_value());
  EXPECT_FALSE(Terminal::make_raw(slave_.get()));
}

TEST(Terminal, WhatIsNoTerminalIsLeftAlone) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::pipe(fds.data()), 0);
  const auto terminal = Terminal::make_raw(fds[0]);
  ASSERT_TRUE(terminal);
  EXPECT_FALSE(terminal->has_value());
  ::close(fds[0]);
  ::close(fds[1]);
}

}  // namespace
}  // namespace twofold
