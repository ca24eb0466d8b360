#include "vmm/devices/console_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace twofold {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

struct Pipe {
  Pipe() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
  }
  // What is in the pipe now, without waiting.
  std::string take() const {
    std::string text;
    pollfd poll_fd{read.get(), POLLIN, 0};
    while (::poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0) {
      std::array<char, 4096> bytes;
      const ssize_t n = ::read(read.get(), bytes.data(), bytes.size());
      if (n <= 0) break;
      text.append(bytes.data(), static_cast<size_t>(n));
    }
    return text;
  }
  // Fills the pipe up, so that its writer would block. Returns how much it took.
  size_t fill() const {
    const int flags = ::fcntl(write.get(), F_GETFL);
    ::fcntl(write.get(), F_SETFL, flags | O_NONBLOCK);
    const std::string page(4096, '.');
    size_t total = 0;
    for (ssize_t n = 0; (n = ::write(write.get(), page.data(), page.size())) > 0;) total += static_cast<size_t>(n);
    ::fcntl(write.get(), F_SETFL, flags);
    return total;
  }
  UniqueFd read;
  UniqueFd write;
};

bool becomes_readable(int fd, std::chrono::milliseconds within) {
  pollfd poll_fd{fd, POLLIN, 0};
  return ::poll(&poll_fd, 1, static_cast<int>(within.count())) == 1;
}

void put(FdSink& sink, std::string_view text) {
  for (const char c : text) sink.write({&c, 1});
}

TEST(FdSink, WritesALineAtItsEnd) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  put(*sink, "hello");
  EXPECT_EQ(pipe.take(), "");
  put(*sink, "\nwor");
  EXPECT_EQ(pipe.take(), "hello\n");
}

TEST(FdSink, APromptShowsWhenTheTimerRunsOut) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  EXPECT_FALSE(becomes_readable(sink->timer_fd(), 20ms)) << "no timer without output";
  put(*sink, "$ ");
  ASSERT_TRUE(becomes_readable(sink->timer_fd(), 1000ms));
  sink->on_timer();
  EXPECT_EQ(pipe.take(), "$ ");
  EXPECT_FALSE(becomes_readable(sink->timer_fd(), 20ms)) << "and none after";
}

TEST(FdSink, WritesWhenTheBufferIsFull) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  put(*sink, std::string(FdSink::kBufferBytes - 1, 'a'));
  EXPECT_EQ(pipe.take(), "");
  put(*sink, "bc");
  EXPECT_EQ(pipe.take(), std::string(FdSink::kBufferBytes - 1, 'a') + "b");
}

TEST(FdSink, FlushAndDestructionWriteTheRest) {
  Pipe pipe;
  auto sink = FdSink::create(pipe.write.get()).value();
  put(*sink, "one");
  sink->flush();
  EXPECT_EQ(pipe.take(), "one");
  put(*sink, "two");
  sink.reset();
  EXPECT_EQ(pipe.take(), "two");
}

TEST(FdSink, ASlowReaderLosesNothing) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  const std::string prefix(pipe.fill(), '.');
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + "\n";
  std::jthread vcpu([&] {
    put(*sink, text);
    sink->flush();
  });
  std::string got;
  while (got.size() < prefix.size() + text.size()) got += pipe.take();
  vcpu.join();
  EXPECT_TRUE(got == prefix + text);
  EXPECT_EQ(sink->dropped_bytes(), 0u);
}

TEST(FdSink, TheTimerNeverBlocksAndComesAgain) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  pipe.fill();
  put(*sink, "$ ");
  ASSERT_TRUE(becomes_readable(sink->timer_fd(), 1000ms));
  sink->on_timer();  // would hang here
  ASSERT_TRUE(becomes_readable(sink->timer_fd(), 1000ms)) << "armed again";
  pipe.take();
  sink->on_timer();
  EXPECT_EQ(pipe.take(), "$ ");
}

TEST(FdSink, TheTimerDoesNotWaitForABlockedWriter) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  pipe.fill();
  std::jthread vcpu([&] { put(*sink, "line\n"); });
  std::this_thread::sleep_for(20ms);
  sink->on_timer();  // would hang here
  std::string got = pipe.take();
  vcpu.join();
  got += pipe.take();
  EXPECT_TRUE(got.ends_with("line\n"));
}

TEST(FdSink, CancelReleasesABlockedWriter) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  pipe.fill();
  std::jthread vcpu([&] { put(*sink, "line\n"); });
  std::this_thread::sleep_for(20ms);
  sink->cancel();
  vcpu.join();  // would hang here
  EXPECT_EQ(sink->dropped_bytes(), 5u);
  put(*sink, "more\n");
  EXPECT_EQ(sink->dropped_bytes(), 10u);
  pipe.take();
  put(*sink, "fits\n");
  EXPECT_EQ(pipe.take(), "fits\n") << "what can be written at once still is";
}

TEST(FdSink, AReaderThatWentAwayDoesNotEndUs) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  pipe.read.reset();
  put(*sink, "to nobody\n");
  put(*sink, "still here\n");
  EXPECT_EQ(sink->dropped_bytes(), 21u);
}

TEST(FdSink, NonBlockingDescriptorsAreWaitedFor) {
  Pipe pipe;
  const auto sink = FdSink::create(pipe.write.get()).value();
  const size_t filled = pipe.fill();
  ::fcntl(pipe.write.get(), F_SETFL, ::fcntl(pipe.write.get(), F_GETFL) | O_NONBLOCK);
  std::jthread vcpu([&] { put(*sink, "late\n"); });
  std::this_thread::sleep_for(20ms);
  std::string got;
  while (got.size() < filled + 5) got += pipe.take();
  EXPECT_EQ(got.substr(filled), "late\n");
}

TEST(FdSink, WritesToAFile) {
  const std::string path = std::filesystem::temp_directory_path() / ("twofold-console-" + std::to_string(::getpid()));
  std::ofstream(path) << "what was there before, and is longer";
  {
    const auto sink = FdSink::create_file(path).value();
    put(*sink, "log\nend");
  }
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "log\nend");
  std::filesystem::remove(path);
}

TEST(FdSink, SaysWhichFileItCannotOpen) {
  const auto sink = FdSink::create_file("/nonexistent/console");
  ASSERT_FALSE(sink);
  EXPECT_THAT(sink.error().message, HasSubstr("'/nonexistent/console'"));
}

TEST(FdSink, AFullDiskDoesNotEndUs) {
  const auto sink = FdSink::create_file("/dev/full").value();
  put(*sink, "lost\n");
  EXPECT_EQ(sink->dropped_bytes(), 5u);
}

}  // namespace
}  // namespace twofold
