// Formatted output: a small printf.
//
// Understands %d %u %x %c %s %p %%, each with an optional `-`, `0` and width (digits or *); `l` is accepted and
// means nothing on a 32-bit machine.
#pragma once

#include <stdarg.h>
#include <stdint.h>

namespace ulib {

constexpr int32_t kStdin = 0;
constexpr int32_t kStdout = 1;
constexpr int32_t kStderr = 2;

// Each call goes out in one write when it fits 512 bytes, so that lines of concurrent processes stay whole.
void print(const char* format, ...) __attribute__((format(printf, 1, 2)));
void print_to(int32_t fd, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Formats into `buffer`, always NUL-terminated, cut to fit. Returns the length that the whole text would have.
// REQUIRES: capacity > 0.
uint32_t format_to(char* buffer, uint32_t capacity, const char* format, ...) __attribute__((format(printf, 3, 4)));

// "no such file or process" and so on, for a result of a system call; `result` may be negated or not.
const char* error_text(int32_t result);

// Prints "PROGRAM: message" on standard error and exits with status 1.
[[noreturn]] void die(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace ulib
