#include "guest/kernel/uart.h"

#include "guest/kernel/x86.h"

namespace twofold::kernel::uart {
namespace {

constexpr uint16_t kBase = 0x3f8;
constexpr uint16_t kData = kBase;     // with DLAB: divisor, low byte
constexpr uint16_t kIer = kBase + 1;  // with DLAB: divisor, high byte
constexpr uint16_t kFcr = kBase + 2;  // write
constexpr uint16_t kIir = kBase + 2;  // read
constexpr uint16_t kLcr = kBase + 3;
constexpr uint16_t kMcr = kBase + 4;
constexpr uint16_t kLsr = kBase + 5;
constexpr uint8_t kIerReceived = 0x01;
constexpr uint8_t kFcrEnable = 0x01;
constexpr uint8_t kIirFifosWork = 0xc0;
constexpr uint8_t kLcr8n1 = 0x03;
constexpr uint8_t kLcrDlab = 0x80;
constexpr uint8_t kMcrDtrRtsOut2 = 0x0b;  // OUT2 connects the interrupt line
constexpr uint8_t kLsrDataReady = 0x01;
constexpr uint8_t kLsrHolderEmpty = 0x20;
constexpr uint8_t kLsrAllSent = 0x40;
constexpr uint8_t kNoDevice = 0xff;
constexpr uint32_t kFifoSize = 16;
constexpr uint32_t kMaxPolls = 1u << 20;

uint32_t fifo_size = 1;
uint32_t room = 0;  // bytes that the transmit FIFO takes for sure

// What was typed before the kernel ran. Switching the FIFOs on clears them, so it is saved first.
uint8_t early[kFifoSize];
uint32_t early_count = 0;
uint32_t early_next = 0;

bool read_device(uint8_t* byte) {
  const uint8_t status = x86::in8(kLsr);
  if (status == kNoDevice || (status & kLsrDataReady) == 0) return false;
  *byte = x86::in8(kData);
  return true;
}

void wait_for(uint8_t status) {
  for (uint32_t i = 0; i < kMaxPolls && (x86::in8(kLsr) & status) == 0; ++i) x86::pause();
}

// An empty holder means an empty FIFO: one status read pays for sixteen bytes. That matters where each is an exit.
void put(uint8_t byte) {
  if (room == 0) {
    wait_for(kLsrHolderEmpty);
    room = fifo_size;
  }
  --room;
  x86::out8(kData, byte);
}

}  // namespace

void init() {
  x86::out8(kIer, 0);
  x86::out8(kLcr, kLcrDlab);
  x86::out8(kData, 1);
  x86::out8(kIer, 0);
  x86::out8(kLcr, kLcr8n1);
  while (early_count < kFifoSize && read_device(&early[early_count])) ++early_count;
  x86::out8(kFcr, kFcrEnable);
  const uint8_t identity = x86::in8(kIir);
  if (identity != kNoDevice && (identity & kIirFifosWork) == kIirFifosWork) fifo_size = kFifoSize;
  x86::out8(kMcr, kMcrDtrRtsOut2);
}

void enable_input() {
  x86::out8(kIer, kIerReceived);
}

void write(const char* bytes, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (bytes[i] == '\n') put('\r');
    put(static_cast<uint8_t>(bytes[i]));
  }
}

bool read(uint8_t* byte) {
  if (early_next < early_count) {
    *byte = early[early_next++];
    return true;
  }
  return read_device(byte);
}

void drain_output() {
  wait_for(kLsrAllSent);
}

}  // namespace twofold::kernel::uart
