#include "guest/kernel/string.h"

extern "C" {

void* memcpy(void* to, const void* from, size_t count) {
  void* const result = to;
  size_t words = count / 4;
  asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
  size_t bytes = count % 4;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}

void* memmove(void* to, const void* from, size_t count) {
  auto* target = static_cast<uint8_t*>(to);
  const auto* source = static_cast<const uint8_t*>(from);
  if (target <= source || target >= source + count) return memcpy(to, from, count);
  while (count-- > 0) {
    target[count] = source[count];
    asm volatile("" : : : "memory");  // else the compiler makes this loop a call of memmove
  }
  return to;
}

void* memset(void* to, int value, size_t count) {
  void* const result = to;
  size_t words = count / 4;
  const uint32_t pattern = 0x01010101u * static_cast<uint8_t>(value);
  asm volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
  size_t bytes = count % 4;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(pattern) : "memory");
  return result;
}

int memcmp(const void* left, const void* right, size_t count) {
  const auto* a = static_cast<const uint8_t*>(left);
  const auto* b = static_cast<const uint8_t*>(right);
  for (size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') {
    ++length;
    asm volatile("" : : : "memory");  // else the compiler makes this loop a call of strlen
  }
  return length;
}

}  // extern "C"

namespace twofold::kernel {

void copy_string(char* to, const char* from, size_t size) {
  size_t i = 0;
  for (; i + 1 < size && from[i] != '\0'; ++i) to[i] = from[i];
  to[i] = '\0';
}

bool equal_strings(const char* left, const char* right) {
  return equals_span(left, right, strlen(right));
}

bool equals_span(const char* text, const char* name, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if (text[i] == '\0' || text[i] != name[i]) return false;
  }
  return text[length] == '\0';
}

}  // namespace twofold::kernel
