#include "guest/user/ulib/print.h"

#include "guest/user/ulib/file.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace ulib {
namespace {

// Where formatted characters go: a buffer that is either written out to `fd` when full, or cut (fd < 0).
struct Sink {
  int32_t fd;
  char* buffer;
  uint32_t capacity;
  uint32_t used = 0;
  uint32_t total = 0;

  void put(char character) {
    ++total;
    if (used == capacity) {
      if (fd < 0) return;
      flush();
    }
    buffer[used++] = character;
  }

  void put_padded(const char* text, uint32_t size, uint32_t width, bool left, char fill) {
    const uint32_t padding = width > size ? width - size : 0;
    for (uint32_t i = 0; !left && i < padding; ++i) put(fill);
    for (uint32_t i = 0; i < size; ++i) put(text[i]);
    for (uint32_t i = 0; left && i < padding; ++i) put(' ');
  }

  void flush() {
    write_all(fd, buffer, used);
    used = 0;
  }
};

// What is left of a call's arguments; a va_list itself cannot portably be passed on by pointer.
struct Arguments {
  va_list list;
};

// One % conversion's flags.
struct Field {
  bool left = false;
  char fill = ' ';
  uint32_t width = 0;
};

void put_number(Sink* sink, uint32_t value, uint32_t base, bool negative, const Field& field) {
  char digits[12];
  uint32_t start = sizeof(digits);
  do {
    digits[--start] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  uint32_t width = field.width;
  if (negative && field.fill == '0') {
    sink->put('-');
    if (width > 0) --width;
  } else if (negative) {
    digits[--start] = '-';
  }
  sink->put_padded(digits + start, sizeof(digits) - start, width, field.left, field.fill);
}

// The analyzer does not see that the callers of these have started the list.
// NOLINTBEGIN(clang-analyzer-valist.Uninitialized)

// Reads flags and width after a '%'; leaves `format` at the conversion's letter.
Field parse_field(const char** format, Arguments* arguments) {
  Field field;
  for (;; ++*format) {
    if (**format == '-') {
      field.left = true;
    } else if (**format == '0') {
      field.fill = '0';
    } else {
      break;
    }
  }
  if (**format == '*') {
    field.width = va_arg(arguments->list, uint32_t);
    ++*format;
  }
  for (; **format >= '0' && **format <= '9'; ++*format) {
    field.width = field.width * 10 + static_cast<uint32_t>(**format - '0');
  }
  while (**format == 'l') ++*format;
  if (field.left) field.fill = ' ';
  return field;
}

void put_conversion(Sink* sink, char letter, const Field& field, Arguments* arguments) {
  switch (letter) {
    case 'd': {
      const int32_t value = va_arg(arguments->list, int32_t);
      const uint32_t magnitude = value < 0 ? 0U - static_cast<uint32_t>(value) : static_cast<uint32_t>(value);
      put_number(sink, magnitude, 10, value < 0, field);
      break;
    }
    case 'u':
      put_number(sink, va_arg(arguments->list, uint32_t), 10, false, field);
      break;
    case 'x':
      put_number(sink, va_arg(arguments->list, uint32_t), 16, false, field);
      break;
    case 'p':
      sink->put('0');
      sink->put('x');
      put_number(sink, va_arg(arguments->list, uint32_t), 16, false, Field{.fill = '0', .width = 8});
      break;
    case 'c': {
      const char character = static_cast<char>(va_arg(arguments->list, int));
      sink->put_padded(&character, 1, field.width, field.left, ' ');
      break;
    }
    case 's': {
      const char* text = va_arg(arguments->list, const char*);
      if (text == nullptr) text = "(null)";
      sink->put_padded(text, length(text), field.width, field.left, ' ');
      break;
    }
    default:
      sink->put(letter);
  }
}

// NOLINTEND(clang-analyzer-valist.Uninitialized)

void format_into(Sink* sink, const char* format, Arguments* arguments) {
  for (; *format != '\0'; ++format) {
    if (*format != '%' || format[1] == '\0') {
      sink->put(*format);
      continue;
    }
    ++format;
    const Field field = parse_field(&format, arguments);
    if (*format == '\0') break;
    put_conversion(sink, *format, field, arguments);
  }
}

}  // namespace

void print(const char* format, ...) {
  char buffer[512];
  Sink sink{kStdout, buffer, sizeof(buffer)};
  Arguments arguments;
  va_start(arguments.list, format);
  format_into(&sink, format, &arguments);
  va_end(arguments.list);
  sink.flush();
}

void print_to(int32_t fd, const char* format, ...) {
  char buffer[512];
  Sink sink{fd, buffer, sizeof(buffer)};
  Arguments arguments;
  va_start(arguments.list, format);
  format_into(&sink, format, &arguments);
  va_end(arguments.list);
  sink.flush();
}

uint32_t format_to(char* buffer, uint32_t capacity, const char* format, ...) {
  Sink sink{-1, buffer, capacity - 1};
  Arguments arguments;
  va_start(arguments.list, format);
  format_into(&sink, format, &arguments);
  va_end(arguments.list);
  buffer[sink.used] = '\0';
  return sink.total;
}

void die(const char* format, ...) {
  char buffer[512];
  Sink sink{kStderr, buffer, sizeof(buffer)};
  Arguments arguments;
  va_start(arguments.list, format);
  format_into(&sink, format, &arguments);
  va_end(arguments.list);
  sink.put('\n');
  sink.flush();
  exit(1);
}

}  // namespace ulib
