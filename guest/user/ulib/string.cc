#include "guest/user/ulib/string.h"

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
  void* cursor = to;
  asm volatile("rep movsb" : "+D"(cursor), "+S"(from), "+c"(size) : : "memory");
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  auto* target = static_cast<uint8_t*>(to);
  const auto* source = static_cast<const uint8_t*>(from);
  if (target <= source || target >= source + size) return memcpy(to, from, size);
  // The tail of the source lies in the target: copy backwards.
  target += size - 1;
  source += size - 1;
  asm volatile("std; rep movsb; cld" : "+D"(target), "+S"(source), "+c"(size) : : "memory", "cc");
  return to;
}

void* memset(void* to, int byte, size_t size) {
  void* cursor = to;
  asm volatile("rep stosb" : "+D"(cursor), "+c"(size) : "a"(byte) : "memory");
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  const auto* left = static_cast<const uint8_t*>(a);
  const auto* right = static_cast<const uint8_t*>(b);
  for (size_t i = 0; i < size; ++i) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

}  // extern "C"

namespace ulib {

uint32_t length(const char* text) {
  uint32_t count = 0;
  while (text[count] != '\0') ++count;
  return count;
}

bool equal(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

bool starts_with(const char* text, const char* prefix) {
  while (*prefix != '\0') {
    if (*text++ != *prefix++) return false;
  }
  return true;
}

const char* find(const char* text, char wanted) {
  for (; *text != '\0'; ++text) {
    if (*text == wanted) return text;
  }
  return nullptr;
}

void copy(char* to, uint32_t capacity, const char* text) {
  while (capacity > 1 && *text != '\0') {
    *to++ = *text++;
    --capacity;
  }
  *to = '\0';
}

namespace {

// Appends one digit to `value`; false if it is none or the result exceeds `max`.
bool push_digit(char digit, uint32_t max, uint32_t* value) {
  if (digit < '0' || digit > '9') return false;
  const uint32_t step = static_cast<uint32_t>(digit - '0');
  if (step > max || *value > (max - step) / 10) return false;
  *value = *value * 10 + step;
  return true;
}

}  // namespace

bool parse_number(const char* text, uint32_t max, uint32_t* value) {
  if (*text == '\0') return false;
  *value = 0;
  for (; *text != '\0'; ++text) {
    if (!push_digit(*text, max, value)) return false;
  }
  return true;
}

bool parse_hundredths(const char* text, uint32_t max, uint32_t* hundredths) {
  if (*text == '\0') return false;
  *hundredths = 0;
  for (; *text != '\0' && *text != '.'; ++text) {
    if (!push_digit(*text, max, hundredths)) return false;
  }
  if (*text == '.') ++text;
  for (int place = 0; place < 2; ++place) {
    const char digit = *text != '\0' ? *text++ : '0';
    if (!push_digit(digit, max, hundredths)) return false;
  }
  return *text == '\0';
}

}  // namespace ulib
