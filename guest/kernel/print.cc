#include "guest/kernel/print.h"

#include <stdarg.h>

#include "guest/abi/abi.h"
#include "guest/kernel/string.h"
#include "guest/kernel/trap.h"
#include "guest/kernel/uart.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {
namespace {

void put_padded(const char* digits, uint32_t length, uint32_t width, char pad) {
  for (; width > length; --width) uart::write(&pad, 1);
  uart::write(digits, length);
}

void put_number(uint32_t value, uint32_t base, bool negative, uint32_t width, char pad) {
  char digits[12];
  uint32_t start = sizeof(digits);
  do {
    digits[--start] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  if (negative) digits[--start] = '-';
  put_padded(digits + start, sizeof(digits) - start, width, pad);
}

void vprint(const char* format, va_list arguments) {
  for (const char* cursor = format; *cursor != '\0'; ++cursor) {
    if (*cursor != '%') {
      uint32_t run = 1;
      while (cursor[run] != '\0' && cursor[run] != '%') ++run;
      uart::write(cursor, run);
      cursor += run - 1;
      continue;
    }
    char pad = ' ';
    uint32_t width = 0;
    if (*++cursor == '0') pad = '0';
    for (; *cursor >= '0' && *cursor <= '9'; ++cursor) width = width * 10 + static_cast<uint32_t>(*cursor - '0');
    switch (*cursor) {
      case 'd': {
        const int32_t value = va_arg(arguments, int32_t);
        put_number(value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value), 10, value < 0, width,
                   pad);
        break;
      }
      case 'u':
        put_number(va_arg(arguments, uint32_t), 10, false, width, pad);
        break;
      case 'x':
        put_number(va_arg(arguments, uint32_t), 16, false, width, pad);
        break;
      case 's': {
        const char* text = va_arg(arguments, const char*);
        put_padded(text, strlen(text), width, ' ');
        break;
      }
      case 'c': {
        const char character = static_cast<char>(va_arg(arguments, int));
        uart::write(&character, 1);
        break;
      }
      case '%':
        uart::write("%", 1);
        break;
      default:
        return;  // a bug in the format; the compiler's check does not let it come to this
    }
  }
}

}  // namespace

void kprintf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprint(format, arguments);
  va_end(arguments);
}

void panic_at(const TrapFrame* frame, const char* format, ...) {
  x86::disable_interrupts();
  kprintf("kernel panic: ");
  va_list arguments;
  va_start(arguments, format);
  vprint(format, arguments);
  va_end(arguments);
  kprintf("\n");
  if (frame != nullptr) print_registers(*frame);
  kprintf("  cr0 %08x cr2 %08x cr3 %08x cr4 %08x\n", x86::read_cr0(), x86::read_cr2(), x86::read_cr3(),
          x86::read_cr4());
  power_off(guest_abi::kVerdictPanic);
}

void power_off(uint32_t value) {
  uart::drain_output();
  x86::out32(guest_abi::kDebugExitPort, value);
  kprintf("halted: value 0x%x found no debug-exit device on port 0x%x\n", value, guest_abi::kDebugExitPort);
  x86::halt_forever();
}

}  // namespace twofold::kernel
