#include "guest/kernel/devices.h"

#include "guest/kernel/console.h"
#include "guest/kernel/file.h"
#include "guest/kernel/initrd.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/user_buffer.h"

namespace twofold::kernel {
namespace {

int32_t read_nothing(UserBuffer& /*buffer*/) {
  return 0;
}

// Takes everything without a look at it.
int32_t write_away(UserBuffer& buffer) {
  const uint32_t count = buffer.remaining();
  buffer.consume(count);
  return static_cast<int32_t>(count);
}

int32_t read_zeros(UserBuffer& buffer) {
  int32_t total = 0;
  while (buffer.remaining() > 0) {
    uint8_t* piece;
    uint32_t count;
    if (const int32_t error = buffer.next_piece(&piece, &count); error != 0) return total > 0 ? total : error;
    memset(piece, 0, count);
    buffer.consume(count);
    total += static_cast<int32_t>(count);
    if (!preempt_point()) break;
  }
  return total;
}

constexpr Device kConsole{"console", console::read, console::write};
constexpr Device kNull{"null", read_nothing, write_away};
constexpr Device kZero{"zero", read_zeros, write_away};

}  // namespace

void add_devices() {
  initrd::add_device(kConsole);
  initrd::add_device(kNull);
  initrd::add_device(kZero);
}

}  // namespace twofold::kernel
