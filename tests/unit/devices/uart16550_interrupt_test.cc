// When the UART interrupts, and what IIR says then.
#include <gtest/gtest.h>
#include <linux/serial_reg.h>

#include <string>

#include "tests/unit/devices/fakes.h"
#include "vmm/devices/uart16550.h"

namespace twofold {
namespace {

using testing::CountingInterrupt;
using testing::in8;
using testing::out8;
using testing::StringSink;

class UartInterrupt : public ::testing::Test {
 protected:
  uint8_t in(uint64_t offset) { return in8(uart_, offset); }
  void out(uint64_t offset, int value) { out8(uart_, offset, static_cast<uint8_t>(value)); }
  size_t type(std::string_view text) { return uart_.enqueue(text); }
  uint8_t iir() { return in(UART_IIR)&0x0f; }

  CountingInterrupt interrupt_;
  StringSink sink_;
  Uart16550 uart_{interrupt_, sink_};
};

TEST_F(UartInterrupt, NoneUnlessEnabled) {
  type("x");
  out(UART_TX, 'y');
  out(UART_MCR, UART_MCR_LOOP);
  EXPECT_EQ(iir(), UART_IIR_NO_INT);
  EXPECT_EQ(interrupt_.take(), 0);
}

TEST_F(UartInterrupt, ReceivedByteInterruptsUntilRead) {
  out(UART_IER, UART_IER_RDI);
  EXPECT_EQ(interrupt_.take(), 0);
  type("x");
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(iir(), UART_IIR_RDI);
  EXPECT_EQ(iir(), UART_IIR_RDI) << "reading IIR does not acknowledge it";
  EXPECT_EQ(in(UART_RX), 'x');
  EXPECT_EQ(iir(), UART_IIR_NO_INT);
  EXPECT_EQ(interrupt_.take(), 0);
}

TEST_F(UartInterrupt, EnablingWithInputWaitingInterrupts) {
  type("x");
  EXPECT_EQ(interrupt_.take(), 0);
  out(UART_IER, UART_IER_RDI);
  EXPECT_EQ(interrupt_.take(), 1);
}

// Without FIFOs each byte that moves up is an edge of its own: a driver that reads one byte an interrupt gets them all.
TEST_F(UartInterrupt, EachByteIsAnEdgeWithoutFifos) {
  out(UART_IER, UART_IER_RDI);
  type("abc");
  std::string got;
  while (interrupt_.take() > 0) got.push_back(static_cast<char>(in(UART_RX)));
  EXPECT_EQ(got, "abc");
}

TEST_F(UartInterrupt, TriggerLevelsTellDataFromTimeout) {
  const std::pair<int, size_t> kLevels[] = {
      {UART_FCR_TRIGGER_1, 1}, {UART_FCR_TRIGGER_4, 4}, {UART_FCR_TRIGGER_8, 8}, {UART_FCR_TRIGGER_14, 14}};
  out(UART_IER, UART_IER_RDI);
  for (const auto& [trigger, level] : kLevels) {
    out(UART_FCR, UART_FCR_ENABLE_FIFO | trigger);
    for (size_t bytes = 1; bytes <= 16; ++bytes) {
      type("x");
      EXPECT_EQ(iir(), bytes >= level ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT) << level << " " << bytes;
    }
    for (size_t bytes = 15; bytes >= 1; --bytes) {
      in(UART_RX);
      EXPECT_EQ(iir(), bytes >= level ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT) << level << " " << bytes;
    }
    in(UART_RX);
    EXPECT_EQ(iir(), UART_IIR_NO_INT);
  }
}

TEST_F(UartInterrupt, BytesBelowTheTriggerInterruptToo) {
  out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_14);
  out(UART_IER, UART_IER_RDI);
  type("x");
  EXPECT_EQ(interrupt_.take(), 1);
}

// The order of events in kernels that unmask their interrupt controller last: the edges before that are lost.
TEST_F(UartInterrupt, WritingReminds) {
  type("input that was there first");
  out(UART_IER, UART_IER_RDI);
  interrupt_.take();  // lost: still masked
  out(UART_TX, '$');
  EXPECT_EQ(interrupt_.take(), 1);
  out(UART_IER, UART_IER_RDI);
  EXPECT_EQ(interrupt_.take(), 1);
}

TEST_F(UartInterrupt, NewInputInterruptsWhileOldInputWaits) {
  out(UART_IER, UART_IER_RDI);
  type("a");
  interrupt_.take();
  type("b");
  EXPECT_EQ(interrupt_.take(), 1);
}

TEST_F(UartInterrupt, TransmitterEmptyIsAcknowledgedByIir) {
  out(UART_IER, UART_IER_THRI);
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(iir(), UART_IIR_THRI);
  EXPECT_EQ(iir(), UART_IIR_NO_INT);

  out(UART_TX, 'x');
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(iir(), UART_IIR_THRI);
}

// Linux's test for chips that forget it ("THRE bug"): off and on again must interrupt again.
TEST_F(UartInterrupt, EnablingTransmitterEmptyAlwaysInterrupts) {
  for (int i = 0; i < 3; ++i) {
    out(UART_IER, UART_IER_THRI);
    EXPECT_EQ(interrupt_.take(), 1);
    EXPECT_EQ(iir(), UART_IIR_THRI);
    out(UART_IER, 0);
    EXPECT_EQ(iir(), UART_IIR_NO_INT);
  }
  out(UART_IER, UART_IER_THRI);
  iir();
  interrupt_.take();
  out(UART_IER, UART_IER_THRI | UART_IER_RDI);
  EXPECT_EQ(iir(), UART_IIR_NO_INT) << "it was on already";
}

TEST_F(UartInterrupt, ABurstOfOutputIsOneEdge) {
  out(UART_IER, UART_IER_THRI);
  iir();
  interrupt_.take();
  for (int i = 0; i < 16; ++i) out(UART_TX, 'x');
  EXPECT_EQ(interrupt_.take(), 1);
}

TEST_F(UartInterrupt, OverrunIsALineStatus) {
  out(UART_IER, UART_IER_RLSI);
  out(UART_MCR, UART_MCR_LOOP);
  out(UART_TX, 'a');
  EXPECT_EQ(interrupt_.take(), 0);
  out(UART_TX, 'b');
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(iir(), UART_IIR_RLSI);
  EXPECT_EQ(iir(), UART_IIR_RLSI);
  in(UART_LSR);
  EXPECT_EQ(iir(), UART_IIR_NO_INT);
}

TEST_F(UartInterrupt, ModemStatusIsAcknowledgedByMsr) {
  out(UART_IER, UART_IER_MSI);
  out(UART_MCR, UART_MCR_LOOP);
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(iir(), UART_IIR_MSI);
  in(UART_MSR);
  EXPECT_EQ(iir(), UART_IIR_NO_INT);
}

TEST_F(UartInterrupt, SourcesAreToldByPriority) {
  out(UART_MCR, UART_MCR_LOOP);
  out(UART_TX, 'a');
  out(UART_TX, 'b');  // overrun, a byte received, transmitter empty, and modem deltas
  out(UART_IER, UART_IER_RLSI | UART_IER_RDI | UART_IER_THRI | UART_IER_MSI);
  EXPECT_EQ(iir(), UART_IIR_RLSI);
  in(UART_LSR);
  EXPECT_EQ(iir(), UART_IIR_RDI);
  in(UART_RX);
  EXPECT_EQ(iir(), UART_IIR_THRI);
  EXPECT_EQ(iir(), UART_IIR_MSI);
  in(UART_MSR);
  EXPECT_EQ(iir(), UART_IIR_NO_INT);
}

TEST_F(UartInterrupt, LeavingLoopbackBringsTheLineBack) {
  out(UART_IER, UART_IER_RDI);
  out(UART_MCR, UART_MCR_LOOP);
  type("x");
  EXPECT_EQ(interrupt_.take(), 0);
  out(UART_MCR, 0);
  EXPECT_EQ(interrupt_.take(), 1);
  EXPECT_EQ(iir(), UART_IIR_RDI);
}

}  // namespace
}  // namespace twofold
