// A 16550A serial port, as on a PC's COM1. Register names are those of <linux/serial_reg.h>.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>

#include "vmm/devices/bus.h"
#include "vmm/devices/console_sink.h"

namespace twofold {

// A first-in-first-out queue of bytes with a fixed capacity.
template <size_t Capacity>
class ByteQueue {
 public:
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t room() const { return Capacity - size_; }
  void clear() { size_ = 0; }
  // REQUIRES: room() > 0.
  void push(uint8_t byte) {
    bytes_[(head_ + size_) % Capacity] = byte;
    ++size_;
  }
  // REQUIRES: size() > 0.
  uint8_t pop() {
    const uint8_t byte = bytes_[head_];
    head_ = (head_ + 1) % Capacity;
    --size_;
    return byte;
  }

 private:
  std::array<uint8_t, Capacity> bytes_{};
  size_t head_ = 0;
  size_t size_ = 0;
};

// Differences from the chip, each in the guest's favour:
// - The line has no speed. A byte written is sent at once: THRE and TEMT always read as set.
// - The host waits. Input stands in a queue of kInputCapacity bytes, of which the guest sees as many as the FIFO is
// deep
//   (16, or 1 with FIFOs off). The rest has not arrived yet, so host input never overruns, and clearing the receive
//   FIFO loses none of it. Loopback can overrun.
// - The character timeout passes at once: bytes below the trigger level interrupt too, as IIR's "timeout".
// - The interrupt does not depend on MCR's OUT2.
//
// The interrupt line is an edge for each piece of news. A new source among the pending ones is news; so is each byte
// that reaches the receiver, and, while received bytes wait, each write to THR or IER: a guest that had its interrupt
// controller masked at the first edge is told again.
//
// Thread safety: all of it. mutex_ guards every register and the queue. It is not held while the sink writes, so that a
// slow reader of output stops neither input nor the other vCPUs' registers.
class Uart16550 final : public BusDevice {
 public:
  static constexpr size_t kInputCapacity = 4096;
  static constexpr size_t kFifoBytes = 16;

  // Both are borrowed and outlive the UART.
  Uart16550(Interrupt& interrupt, ConsoleSink& sink) : interrupt_(interrupt), sink_(sink) {}

  // Registers at offsets 0–7. An access wider than a byte is one access for each byte.
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // Hands host input to the guest; returns how many bytes fitted. The caller keeps the rest.
  size_t enqueue(std::span<const char> bytes);
  [[nodiscard]] size_t input_room() const;

  // Called, on a vCPU thread and without the UART's lock, when a queue that had filled up is half empty again. Must not
  // block; signalling an eventfd is what it is for. Set it before vCPUs run.
  void set_room_callback(std::function<void()> on_room) { on_room_ = std::move(on_room); }

  // Bytes the guest wrote to the line, and bytes of host input that it read. Relaxed: statistics.
  [[nodiscard]] uint64_t bytes_out() const { return bytes_out_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t bytes_in() const { return bytes_in_.load(std::memory_order_relaxed); }

 private:
  // Interrupt sources, one bit each. Their priority is iir()'s business.
  enum Source : uint8_t { kLineStatus = 1, kReceived = 2, kTransmitEmpty = 4, kModemStatus = 8 };

  uint8_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint8_t value);
  void transmit(uint8_t byte);

  // All below REQUIRE mutex_.
  uint8_t read_receiver();
  uint8_t read_iir();
  uint8_t read_lsr();
  uint8_t read_msr();
  void write_ier(uint8_t value);
  void write_fcr(uint8_t value);
  void write_mcr(uint8_t value);
  void loop_back(uint8_t byte);
  [[nodiscard]] bool dlab() const;
  [[nodiscard]] bool loopback() const;
  [[nodiscard]] size_t fifo_depth() const;
  [[nodiscard]] size_t received() const;  // bytes the guest sees in the receiver
  [[nodiscard]] uint8_t modem_lines() const;
  [[nodiscard]] uint8_t pending() const;  // set of Source, enabled ones only
  [[nodiscard]] uint8_t iir() const;
  // Sends an edge if a source has become pending since the last call, or if one of `news` is pending.
  void update_interrupt(uint8_t news = 0);

  Interrupt& interrupt_;
  ConsoleSink& sink_;
  std::function<void()> on_room_;
  std::atomic<uint64_t> bytes_out_{0};
  std::atomic<uint64_t> bytes_in_{0};

  mutable std::mutex mutex_;
  ByteQueue<kInputCapacity> host_input_;
  ByteQueue<kFifoBytes> looped_;  // bytes the guest sent to itself; read before host input
  bool was_full_ = false;         // enqueue() filled the queue, and on_room_ is owed
  bool transmit_empty_ = false;   // the THRE source; LSR's THRE bit is always set
  uint8_t reported_ = 0;          // pending() at the last update_interrupt()
  uint8_t ier_ = 0;
  uint8_t fcr_ = 0;
  uint8_t lcr_ = 0x03;  // 8 bits, no parity, one stop bit
  uint8_t mcr_ = 0;
  uint8_t lsr_errors_ = 0;
  uint8_t msr_deltas_ = 0;
  uint8_t scratch_ = 0;
  uint8_t divisor_low_ = 0x01;  // 115200 baud
  uint8_t divisor_high_ = 0;
};

}  // namespace twofold
