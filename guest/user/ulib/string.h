// Bytes and NUL-terminated strings. The four mem* are also what the compiler calls for copies of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {
void* memcpy(void* to, const void* from, size_t size);
void* memmove(void* to, const void* from, size_t size);
void* memset(void* to, int byte, size_t size);
int memcmp(const void* a, const void* b, size_t size);
}

namespace ulib {

uint32_t length(const char* text);
bool equal(const char* a, const char* b);
bool starts_with(const char* text, const char* prefix);

// The first `wanted` in `text`, or null.
const char* find(const char* text, char wanted);

// Copies `text` and a NUL into `to`, cut to fit `capacity` bytes. REQUIRES: capacity > 0.
void copy(char* to, uint32_t capacity, const char* text);

// Reads all of `text` as an unsigned decimal number. False if it is empty, has another character, or exceeds `max`.
bool parse_number(const char* text, uint32_t max, uint32_t* value);

// Reads "1.25" as 125: a decimal number with at most two places, in hundredths. False as parse_number.
bool parse_hundredths(const char* text, uint32_t max, uint32_t* hundredths);

}  // namespace ulib
