#include "guest/kernel/console.h"

#include "guest/abi/abi.h"
#include "guest/kernel/process.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/uart.h"
#include "guest/kernel/user_buffer.h"

namespace twofold::kernel::console {
namespace {

constexpr uint8_t kInterrupt = 0x03;  // ^C
constexpr uint8_t kEndOfFile = 0x04;  // ^D; also marks it among the finished lines
constexpr uint8_t kBackspace = 0x08;
constexpr uint8_t kKillLine = 0x15;  // ^U
constexpr uint8_t kDelete = 0x7f;
constexpr uint32_t kLineMax = 256;  // with the newline
constexpr uint32_t kReadyMax = 2048;

constinit uint8_t line[kLineMax]{};  // being typed
uint32_t line_length = 0;
constinit uint8_t ready[kReadyMax]{};  // finished lines: a ring
uint32_t ready_start = 0;
uint32_t ready_used = 0;

void echo(const char* text, uint32_t count) {
  uart::write(text, count);
}

void rub_out(uint32_t count) {
  for (; count > 0 && line_length > 0; --count) {
    --line_length;
    echo("\b \b", 3);
  }
}

// REQUIRES: room for kLineMax bytes in `ready`
void finish_line() {
  for (uint32_t i = 0; i < line_length; ++i) ready[(ready_start + ready_used++) % kReadyMax] = line[i];
  line_length = 0;
  wake_up(ready);
}

void add(uint8_t byte) {
  const bool newline = byte == '\n';
  if (line_length >= kLineMax - (newline ? 0 : 1)) {
    echo("\a", 1);
    return;
  }
  line[line_length++] = byte;
  const auto character = static_cast<char>(byte);
  echo(&character, 1);
  if (newline) finish_line();
}

void take(uint8_t byte) {
  switch (byte) {
    case kInterrupt:
      line_length = 0;
      echo("^C\n", 3);
      kill_foreground();
      return;
    case kEndOfFile:
      line[line_length++] = kEndOfFile;  // add() leaves room for one
      finish_line();
      return;
    case kKillLine:
      rub_out(kLineMax);
      return;
    case kBackspace:
    case kDelete:
      rub_out(1);
      return;
    case '\r':
      add('\n');
      return;
    default:
      if (byte == '\n' || byte == '\t' || (byte >= ' ' && byte < kDelete) || byte >= 0x80) add(byte);
  }
}

}  // namespace

void take_input() {
  uint8_t byte;
  while (kReadyMax - ready_used >= kLineMax && uart::read(&byte)) take(byte);
}

int32_t read(UserBuffer& buffer) {
  if (buffer.remaining() == 0) return 0;
  int32_t total = 0;
  bool end = false;
  while (!end && buffer.remaining() > 0) {
    if (ready_used == 0) {
      if (total > 0) break;
      if (!sleep_on(ready)) return -guest_abi::kEIo;
      continue;
    }
    uint8_t* piece;
    uint32_t count;
    if (const int32_t error = buffer.next_piece(&piece, &count); error != 0) return total > 0 ? total : error;
    uint32_t taken = 0;
    while (!end && ready_used > 0 && taken < count) {
      const uint8_t byte = ready[ready_start];
      ready_start = (ready_start + 1) % kReadyMax;
      --ready_used;
      end = byte == '\n' || byte == kEndOfFile;
      if (byte != kEndOfFile) piece[taken++] = byte;
    }
    buffer.consume(taken);
    total += static_cast<int32_t>(taken);
  }
  take_input();  // there is room again, and no interrupt tells of what waited for it
  return total;
}

int32_t write(UserBuffer& buffer) {
  constexpr uint32_t kPiece = 256;  // a slow line must not keep interrupts off for long
  int32_t total = 0;
  while (buffer.remaining() > 0) {
    uint8_t* piece;
    uint32_t count;
    if (const int32_t error = buffer.next_piece(&piece, &count); error != 0) return total > 0 ? total : error;
    count = min(count, kPiece);
    uart::write(reinterpret_cast<const char*>(piece), count);
    buffer.consume(count);
    total += static_cast<int32_t>(count);
    if (!preempt_point()) break;
  }
  return total;
}

}  // namespace twofold::kernel::console
