#include "vmm/devices/console_input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/serial_reg.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/unit/devices/fakes.h"

namespace twofold {
namespace {

using State = ConsoleInput::State;

class Input : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> fds{};
    ASSERT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    read_ = UniqueFd(fds[0]);
    write_ = UniqueFd(fds[1]);
  }
  void type(std::string_view text) const {
    ASSERT_EQ(::write(write_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string guest_reads() {
    std::string text;
    while (testing::in8(uart_, UART_LSR) & UART_LSR_DR) text.push_back(static_cast<char>(testing::in8(uart_, UART_RX)));
    return text;
  }

  UniqueFd read_;
  UniqueFd write_;
  testing::CountingInterrupt interrupt_;
  testing::StringSink sink_;
  Uart16550 uart_{interrupt_, sink_};
};

TEST_F(Input, BytesReachTheGuest) {
  ConsoleInput input(read_.get(), false, uart_);
  type("ls\n");
  EXPECT_EQ(input.on_readable(), State::kOpen);
  EXPECT_EQ(guest_reads(), "ls\n");
}

TEST_F(Input, EndOfFileIsToldAfterTheLastByte) {
  ConsoleInput input(read_.get(), false, uart_);
  type("bye");
  write_.reset();
  EXPECT_EQ(input.on_readable(), State::kOpen);
  EXPECT_EQ(input.on_readable(), State::kEnd);
  EXPECT_EQ(guest_reads(), "bye");
}

TEST_F(Input, EscapesAreTheTypistsOnly) {
  ConsoleInput typed(read_.get(), true, uart_);
  type("a\x01\x01");
  EXPECT_EQ(typed.on_readable(), State::kOpen);
  EXPECT_EQ(guest_reads(), "a\x01");
  type("b\x01x");
  EXPECT_EQ(typed.on_readable(), State::kQuit);
  EXPECT_EQ(guest_reads(), "b");

  ConsoleInput piped(read_.get(), false, uart_);
  type("c\x01x");
  EXPECT_EQ(piped.on_readable(), State::kOpen);
  EXPECT_EQ(guest_reads(), "c\x01x");
}

// Far more than the UART holds, through a guest that reads when the queue is full: every byte arrives.
TEST_F(Input, AFastPipeWaitsForTheGuest) {
  std::string text;
  for (int i = 0; i < 7000; ++i) text += std::to_string(i) + ",";
  ASSERT_GT(text.size(), 4 * Uart16550::kInputCapacity);
  ASSERT_LT(text.size(), 65536u) << "has to fit the pipe";
  type(text);
  write_.reset();

  bool room = false;
  int times_full = 0;
  uart_.set_room_callback([&] { room = true; });
  ConsoleInput input(read_.get(), false, uart_);
  std::string got;
  for (State state = State::kOpen; state != State::kEnd;) {
    state = input.on_readable();
    if (state != State::kFull) continue;
    ++times_full;
    EXPECT_EQ(input.on_readable(), State::kFull) << "asking again is harmless";
    got += guest_reads();
    EXPECT_TRUE(std::exchange(room, false));
  }
  got += guest_reads();
  EXPECT_EQ(got, text);
  EXPECT_GE(times_full, 4);
}

TEST_F(Input, ANonBlockingDescriptorWithNothingIsOpen) {
  ::fcntl(read_.get(), F_SETFL, O_NONBLOCK);
  ConsoleInput input(read_.get(), false, uart_);
  EXPECT_EQ(input.on_readable(), State::kOpen);
}

}  // namespace
}  // namespace twofold
