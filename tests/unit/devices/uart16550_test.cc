// The UART's registers, seen from the guest, and its input queue, seen from the host. Interrupts have a file of their
// own.
#include "vmm/devices/uart16550.h"

#include <gtest/gtest.h>
#include <linux/serial_reg.h>

#include <array>
#include <string>
#include <thread>

#include "tests/unit/devices/fakes.h"

namespace twofold {
namespace {

using testing::CountingInterrupt;
using testing::in8;
using testing::out8;
using testing::StringSink;

class Uart : public ::testing::Test {
 protected:
  uint8_t in(uint64_t offset) { return in8(uart_, offset); }
  void out(uint64_t offset, int value) { out8(uart_, offset, static_cast<uint8_t>(value)); }
  size_t type(std::string_view text) { return uart_.enqueue(text); }
  // Reads as a polling driver does: while LSR says there is something.
  std::string read_all() {
    std::string text;
    while (in(UART_LSR)&UART_LSR_DR) text.push_back(static_cast<char>(in(UART_RX)));
    return text;
  }

  CountingInterrupt interrupt_;
  StringSink sink_;
  Uart16550 uart_{interrupt_, sink_};
};

TEST_F(Uart, WritesReachTheSinkInOrder) {
  for (const char c : std::string("hello\n$ ")) out(UART_TX, c);
  EXPECT_EQ(sink_.text(), "hello\n$ ");
  EXPECT_EQ(uart_.bytes_out(), 8u);
}

TEST_F(Uart, TransmitterIsAlwaysEmpty) {
  EXPECT_EQ(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
  out(UART_TX, 'a');
  EXPECT_EQ(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

TEST_F(Uart, RegistersKeepTheBitsThatExist) {
  out(UART_SCR, 0xa5);
  EXPECT_EQ(in(UART_SCR), 0xa5);
  out(UART_IER, 0xff);
  EXPECT_EQ(in(UART_IER), 0x0f);
  out(UART_MCR, 0xff);
  EXPECT_EQ(in(UART_MCR), 0x1f);
  out(UART_MCR, 0);
  out(UART_LCR, 0x1b);
  EXPECT_EQ(in(UART_LCR), 0x1b);
  out(UART_LSR, 0xff);
  EXPECT_EQ(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT) << "LSR is read-only";
}

TEST_F(Uart, DivisorLatchHidesDataAndIer) {
  out(UART_IER, UART_IER_RDI);
  type("z");
  out(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
  out(UART_DLL, 0x0c);
  out(UART_DLM, 0x34);
  EXPECT_EQ(in(UART_DLL), 0x0c);
  EXPECT_EQ(in(UART_DLM), 0x34);
  out(UART_LCR, UART_LCR_WLEN8);
  EXPECT_EQ(in(UART_IER), UART_IER_RDI);
  EXPECT_EQ(in(UART_RX), 'z') << "reading the latch took no byte";
  EXPECT_EQ(sink_.text(), "") << "writing the latch sent no byte";
}

TEST_F(Uart, IirTellsFifos) {
  EXPECT_EQ(in(UART_IIR), UART_IIR_NO_INT);
  out(UART_FCR, UART_FCR_ENABLE_FIFO);
  EXPECT_EQ(in(UART_IIR), 0xc0 | UART_IIR_NO_INT);
  out(UART_FCR, 0);
  EXPECT_EQ(in(UART_IIR), UART_IIR_NO_INT);
}

TEST_F(Uart, AWideAccessIsOneForEachByte) {
  const std::array data = {std::byte{'x'}, std::byte{UART_IER_RDI}};
  uart_.write(UART_TX, data);
  EXPECT_EQ(sink_.text(), "x");
  EXPECT_EQ(in(UART_IER), UART_IER_RDI);
  std::array<std::byte, 4> read{};
  uart_.read(6, read);  // MSR, SCR, and two that are not there
  EXPECT_EQ(read[2], std::byte{0xff});
  EXPECT_EQ(read[3], std::byte{0xff});
}

TEST_F(Uart, ReadingWithNothingThereYieldsZero) {
  EXPECT_EQ(in(UART_RX), 0);
  EXPECT_EQ(uart_.bytes_in(), 0u);
}

TEST_F(Uart, InputComesInOrderWithFifosOnAndOff) {
  const std::string text = "0123456789abcdefghijklmnopqrstuvwxyz";
  for (const int fcr : {0, UART_FCR_ENABLE_FIFO}) {
    out(UART_FCR, fcr);
    EXPECT_EQ(type(text), text.size());
    EXPECT_EQ(read_all(), text);
  }
  EXPECT_EQ(uart_.bytes_in(), 2 * text.size());
}

TEST_F(Uart, ClearingOrTogglingTheFifoLosesNoHostInput) {
  type("ls\n");
  out(UART_FCR, UART_FCR_ENABLE_FIFO);
  out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
  out(UART_FCR, 0);
  EXPECT_EQ(read_all(), "ls\n");
}

TEST_F(Uart, FullQueueTakesNoMoreAndLosesNothing) {
  std::string text;
  for (size_t i = 0; i < Uart16550::kInputCapacity + 100; ++i) text.push_back(static_cast<char>('a' + i % 26));
  EXPECT_EQ(uart_.input_room(), Uart16550::kInputCapacity);
  const size_t taken = type(text);
  EXPECT_EQ(taken, Uart16550::kInputCapacity);
  EXPECT_EQ(uart_.input_room(), 0u);
  EXPECT_EQ(type("x"), 0u);

  std::string got(1, static_cast<char>(in(UART_RX)));
  EXPECT_EQ(uart_.input_room(), 1u);
  EXPECT_EQ(type(text.substr(taken)), 1u);
  got += read_all();
  EXPECT_EQ(got, text.substr(0, taken + 1));
}

TEST_F(Uart, CallsForMoreInputOnceTheFullQueueIsHalfEmpty) {
  int calls = 0;
  uart_.set_room_callback([&] {
    ++calls;
    EXPECT_GE(uart_.input_room(), Uart16550::kInputCapacity / 2) << "called without the lock";
  });
  type("a few bytes, far from full");
  read_all();
  EXPECT_EQ(calls, 0);

  type(std::string(Uart16550::kInputCapacity, 'x'));
  for (size_t i = 0; i < Uart16550::kInputCapacity / 2 - 1; ++i) in(UART_RX);
  EXPECT_EQ(calls, 0);
  in(UART_RX);
  EXPECT_EQ(calls, 1);
  read_all();
  EXPECT_EQ(calls, 1) << "once for each time it was full";
}

// What Linux's 8250 driver and others probe for: modem outputs appear as modem inputs.
TEST_F(Uart, LoopbackTurnsModemOutputsIntoInputs) {
  EXPECT_EQ(in(UART_MSR)&0xf0, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
  const std::array<std::pair<int, int>, 5> wires = {{{0, 0},
                                                     {UART_MCR_DTR, UART_MSR_DSR},
                                                     {UART_MCR_RTS, UART_MSR_CTS},
                                                     {UART_MCR_OUT1, UART_MSR_RI},
                                                     {UART_MCR_OUT2 | UART_MCR_RTS, UART_MSR_DCD | UART_MSR_CTS}}};
  for (const auto& [output, input] : wires) {
    out(UART_MCR, UART_MCR_LOOP | output);
    EXPECT_EQ(in(UART_MSR)&0xf0, input) << output;
  }
}

TEST_F(Uart, LoopbackReturnsBytesAndSendsNone) {
  out(UART_FCR, UART_FCR_ENABLE_FIFO);
  out(UART_MCR, UART_MCR_LOOP);
  type("from the line");
  EXPECT_EQ(in(UART_LSR)&UART_LSR_DR, 0) << "the line is cut off";
  out(UART_TX, 0xae);
  out(UART_TX, 0x55);
  EXPECT_EQ(in(UART_RX), 0xae);
  EXPECT_EQ(in(UART_RX), 0x55);
  EXPECT_EQ(in(UART_LSR)&UART_LSR_DR, 0);
  EXPECT_EQ(sink_.text(), "");

  out(UART_MCR, 0);
  EXPECT_EQ(read_all(), "from the line");
}

TEST_F(Uart, LoopbackOverrunsAtSixteenBytes) {
  out(UART_FCR, UART_FCR_ENABLE_FIFO);
  out(UART_MCR, UART_MCR_LOOP);
  for (int i = 0; i < 16; ++i) out(UART_TX, 'a' + i);
  EXPECT_EQ(in(UART_LSR)&UART_LSR_OE, 0);
  out(UART_TX, 'z');
  EXPECT_EQ(in(UART_LSR)&UART_LSR_OE, UART_LSR_OE);
  EXPECT_EQ(in(UART_LSR)&UART_LSR_OE, 0) << "reading LSR clears the error";
  EXPECT_EQ(read_all(), "abcdefghijklmnop") << "the FIFO keeps what it had";
}

TEST_F(Uart, LoopbackWithoutFifoOverwrites) {
  out(UART_MCR, UART_MCR_LOOP);
  out(UART_TX, 'a');
  out(UART_TX, 'b');
  EXPECT_EQ(in(UART_LSR) & (UART_LSR_OE | UART_LSR_DR), UART_LSR_OE | UART_LSR_DR);
  EXPECT_EQ(read_all(), "b");
}

TEST_F(Uart, ClearingTheFifoDropsLoopedBytes) {
  out(UART_FCR, UART_FCR_ENABLE_FIFO);
  out(UART_MCR, UART_MCR_LOOP);
  out(UART_TX, 'a');
  out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
  EXPECT_EQ(in(UART_LSR)&UART_LSR_DR, UART_LSR_DR) << "the transmitter's bit clears the transmitter";
  out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
  EXPECT_EQ(in(UART_LSR)&UART_LSR_DR, 0);
}

TEST_F(Uart, ModemDeltasAreClearedByReading) {
  out(UART_MCR, UART_MCR_LOOP);  // DCD, DSR and CTS fall
  EXPECT_EQ(in(UART_MSR)&0x0f, UART_MSR_DDCD | UART_MSR_DDSR | UART_MSR_DCTS);
  EXPECT_EQ(in(UART_MSR)&0x0f, 0);
  out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
  EXPECT_EQ(in(UART_MSR), UART_MSR_RI) << "RI's rise is no event";
  out(UART_MCR, UART_MCR_LOOP);
  EXPECT_EQ(in(UART_MSR), UART_MSR_TERI) << "its fall is";
}

TEST_F(Uart, ConcurrentInputAndOutputLoseNothing) {
  constexpr size_t kBytes = 50'000;
  out(UART_FCR, UART_FCR_ENABLE_FIFO);
  std::thread host([this] {
    for (size_t sent = 0; sent < kBytes;) {
      std::array<char, 100> chunk;
      const size_t n = std::min(chunk.size(), kBytes - sent);
      for (size_t i = 0; i < n; ++i) chunk[i] = static_cast<char>((sent + i) % 251);
      sent += uart_.enqueue(std::span(chunk).first(n));
    }
  });
  std::thread other_vcpu([this] {
    for (int i = 0; i < 1000; ++i) out(UART_TX, 'o');
  });
  size_t wrong = 0;
  for (size_t got = 0; got < kBytes;) {
    if ((in(UART_LSR)&UART_LSR_DR) == 0) continue;
    if (in(UART_RX) != got % 251) ++wrong;
    ++got;
  }
  host.join();
  other_vcpu.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(sink_.text(), std::string(1000, 'o'));
}

}  // namespace
}  // namespace twofold
