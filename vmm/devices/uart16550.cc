#include "vmm/devices/uart16550.h"

#include <linux/serial_reg.h>

#include <algorithm>

namespace twofold {

namespace {
constexpr uint8_t kImplementedMcr = UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_OUT1 | UART_MCR_RTS | UART_MCR_DTR;
constexpr uint8_t kImplementedIer = UART_IER_MSI | UART_IER_RLSI | UART_IER_THRI | UART_IER_RDI;
constexpr uint8_t kImplementedFcr = UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK;
constexpr uint8_t kFifosEnabled = 0xc0;  // IIR, bits 6 and 7
}  // namespace

void Uart16550::read(uint64_t offset, std::span<std::byte> data) {
  for (std::byte& byte : data) byte = std::byte{read_register(offset++)};
}

void Uart16550::write(uint64_t offset, std::span<const std::byte> data) {
  for (const std::byte byte : data) write_register(offset++, std::to_integer<uint8_t>(byte));
}

uint8_t Uart16550::read_register(uint64_t offset) {
  bool owed_room = false;
  uint8_t value = 0xff;
  {
    const std::lock_guard lock(mutex_);
    switch (offset) {
      case UART_RX:
        value = dlab() ? divisor_low_ : read_receiver();
        owed_room = was_full_ && host_input_.room() >= kInputCapacity / 2;
        if (owed_room) was_full_ = false;
        break;
      case UART_IER:
        value = dlab() ? divisor_high_ : ier_;
        break;
      case UART_IIR:
        value = read_iir();
        break;
      case UART_LCR:
        value = lcr_;
        break;
      case UART_MCR:
        value = mcr_;
        break;
      case UART_LSR:
        value = read_lsr();
        break;
      case UART_MSR:
        value = read_msr();
        break;
      case UART_SCR:
        value = scratch_;
        break;
      default:
        break;
    }
  }
  if (owed_room && on_room_) on_room_();
  return value;
}

void Uart16550::write_register(uint64_t offset, uint8_t value) {
  std::unique_lock lock(mutex_);
  switch (offset) {
    case UART_TX:
      if (dlab()) {
        divisor_low_ = value;
        break;
      }
      if (!loopback()) {
        // The sink may block on a slow reader. The interrupt comes after, or another vCPU's next byte could overtake.
        lock.unlock();
        transmit(value);
        lock.lock();
      } else {
        loop_back(value);
      }
      transmit_empty_ = true;
      update_interrupt(kReceived);
      break;
    case UART_IER:
      if (dlab()) {
        divisor_high_ = value;
      } else {
        write_ier(value);
      }
      break;
    case UART_FCR:
      write_fcr(value);
      break;
    case UART_LCR:
      lcr_ = value;
      break;
    case UART_MCR:
      write_mcr(value);
      break;
    case UART_SCR:
      scratch_ = value;
      break;
    default:
      break;  // LSR and MSR: read-only here
  }
}

void Uart16550::transmit(uint8_t byte) {
  bytes_out_.fetch_add(1, std::memory_order_relaxed);
  const char out = static_cast<char>(byte);
  sink_.write({&out, 1});
}

size_t Uart16550::enqueue(std::span<const char> bytes) {
  const std::lock_guard lock(mutex_);
  const size_t taken = std::min(bytes.size(), host_input_.room());
  for (const char byte : bytes.first(taken)) host_input_.push(static_cast<uint8_t>(byte));
  if (host_input_.room() == 0) was_full_ = true;
  if (taken > 0) update_interrupt(kReceived);
  return taken;
}

size_t Uart16550::input_room() const {
  const std::lock_guard lock(mutex_);
  return host_input_.room();
}

uint8_t Uart16550::read_receiver() {
  if (received() == 0) return 0;
  uint8_t byte = 0;
  if (looped_.size() > 0) {
    byte = looped_.pop();
  } else {
    byte = host_input_.pop();
    bytes_in_.fetch_add(1, std::memory_order_relaxed);
  }
  // If bytes are still there, one of them has just moved up from the line: that is an arrival.
  const bool arrival = received() >= fifo_depth();
  update_interrupt(arrival ? kReceived : 0);
  return byte;
}

uint8_t Uart16550::read_iir() {
  const uint8_t value = iir();
  // Reading IIR is what acknowledges "transmitter empty", if that is what it says.
  if ((value & UART_IIR_ID) == UART_IIR_THRI && (value & UART_IIR_NO_INT) == 0) {
    transmit_empty_ = false;
    update_interrupt();
  }
  return value;
}

uint8_t Uart16550::read_lsr() {
  const uint8_t ready = received() > 0 ? UART_LSR_DR : 0;
  const uint8_t value = UART_LSR_THRE | UART_LSR_TEMT | ready | lsr_errors_;
  lsr_errors_ = 0;
  update_interrupt();
  return value;
}

uint8_t Uart16550::read_msr() {
  const uint8_t value = modem_lines() | msr_deltas_;
  msr_deltas_ = 0;
  update_interrupt();
  return value;
}

void Uart16550::write_ier(uint8_t value) {
  const uint8_t enabled = value & ~ier_;
  ier_ = value & kImplementedIer;
  // Turning the source on tells at once of an empty transmitter, even if an earlier read of IIR acknowledged it:
  // drivers start their output so, and Linux takes a chip that does not for a defective one.
  if (enabled & UART_IER_THRI) transmit_empty_ = true;
  update_interrupt(kReceived);
}

void Uart16550::write_fcr(uint8_t value) {
  const bool toggled = ((value ^ fcr_) & UART_FCR_ENABLE_FIFO) != 0;
  fcr_ = value & kImplementedFcr;
  // Host input beyond the FIFO has not arrived, and what the guest has not read yet is taken to arrive after the
  // clearing.
  if (toggled || (value & UART_FCR_CLEAR_RCVR) != 0) looped_.clear();
  update_interrupt();
}

void Uart16550::write_mcr(uint8_t value) {
  const uint8_t before = modem_lines();
  mcr_ = value & kImplementedMcr;
  const uint8_t after = modem_lines();
  const uint8_t changed = before ^ after;
  if (changed & UART_MSR_DCD) msr_deltas_ |= UART_MSR_DDCD;
  if (changed & UART_MSR_DSR) msr_deltas_ |= UART_MSR_DDSR;
  if (changed & UART_MSR_CTS) msr_deltas_ |= UART_MSR_DCTS;
  if (before & ~after & UART_MSR_RI) msr_deltas_ |= UART_MSR_TERI;  // the trailing edge only
  update_interrupt();
}

void Uart16550::loop_back(uint8_t byte) {
  if (looped_.size() < fifo_depth()) {
    looped_.push(byte);
    return;
  }
  lsr_errors_ |= UART_LSR_OE;
  // With FIFOs the new byte is lost; the single receive buffer is overwritten instead.
  if ((fcr_ & UART_FCR_ENABLE_FIFO) == 0) {
    looped_.clear();
    looped_.push(byte);
  }
}

bool Uart16550::dlab() const {
  return (lcr_ & UART_LCR_DLAB) != 0;
}

bool Uart16550::loopback() const {
  return (mcr_ & UART_MCR_LOOP) != 0;
}

size_t Uart16550::fifo_depth() const {
  return (fcr_ & UART_FCR_ENABLE_FIFO) != 0 ? kFifoBytes : 1;
}

size_t Uart16550::received() const {
  const size_t from_line = loopback() ? 0 : host_input_.size();  // loopback cuts the line off
  return std::min(looped_.size() + from_line, fifo_depth());
}

uint8_t Uart16550::modem_lines() const {
  if (!loopback()) return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;  // somebody is there and ready
  uint8_t lines = 0;
  if (mcr_ & UART_MCR_DTR) lines |= UART_MSR_DSR;
  if (mcr_ & UART_MCR_RTS) lines |= UART_MSR_CTS;
  if (mcr_ & UART_MCR_OUT1) lines |= UART_MSR_RI;
  if (mcr_ & UART_MCR_OUT2) lines |= UART_MSR_DCD;
  return lines;
}

uint8_t Uart16550::pending() const {
  uint8_t sources = 0;
  if ((ier_ & UART_IER_RLSI) != 0 && lsr_errors_ != 0) sources |= kLineStatus;
  if ((ier_ & UART_IER_RDI) != 0 && received() > 0) sources |= kReceived;
  if ((ier_ & UART_IER_THRI) != 0 && transmit_empty_) sources |= kTransmitEmpty;
  if ((ier_ & UART_IER_MSI) != 0 && msr_deltas_ != 0) sources |= kModemStatus;
  return sources;
}

uint8_t Uart16550::iir() const {
  constexpr std::array<uint8_t, 4> kTriggerBytes = {1, 4, 8, 14};
  const bool fifos = (fcr_ & UART_FCR_ENABLE_FIFO) != 0;
  const uint8_t sources = pending();

  // Highest priority first.
  uint8_t id = UART_IIR_NO_INT;
  if (sources & kLineStatus) {
    id = UART_IIR_RLSI;
  } else if (sources & kReceived) {
    const bool below_trigger = fifos && received() < kTriggerBytes[fcr_ >> UART_FCR_R_TRIG_SHIFT];
    id = below_trigger ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI;
  } else if (sources & kTransmitEmpty) {
    id = UART_IIR_THRI;
  } else if (sources & kModemStatus) {
    id = UART_IIR_MSI;
  }
  return id | (fifos ? kFifosEnabled : 0);
}

void Uart16550::update_interrupt(uint8_t news) {
  const uint8_t sources = pending();
  const bool edge = (sources & ~reported_) != 0 || (sources & news) != 0;
  reported_ = sources;
  if (edge) interrupt_.trigger();
}

}  // namespace twofold
