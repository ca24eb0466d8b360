// Bytes and NUL-terminated strings. The mem* functions have C linkage because the compiler calls them by name.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {
void* memcpy(void* to, const void* from, size_t count);
void* memmove(void* to, const void* from, size_t count);
void* memset(void* to, int value, size_t count);
int memcmp(const void* left, const void* right, size_t count);
size_t strlen(const char* text);
}

namespace twofold::kernel {

// Copies at most `size - 1` characters of `from` and always ends `to` with a NUL. REQUIRES: size > 0
void copy_string(char* to, const char* from, size_t size);

bool equal_strings(const char* left, const char* right);

// Whether `text`, NUL-terminated, is exactly the `length` characters at `name`.
bool equals_span(const char* text, const char* name, size_t length);

template <typename T>
constexpr T min(T left, T right) {
  return left < right ? left : right;
}
template <typename T>
constexpr T max(T left, T right) {
  return left < right ? right : left;
}

}  // namespace twofold::kernel
