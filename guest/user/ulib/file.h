// Files, whole: what single read and write calls, which may stop short, do not promise.
#pragma once

#include <stdint.h>

namespace ulib {

// Writes all of `size` bytes. Returns 0, or the negated error that stopped it.
int32_t write_all(int32_t fd, const void* data, uint32_t size);

// Reads until `size` bytes came or the end. Returns the bytes read, or the negated error.
int32_t read_all(int32_t fd, void* buffer, uint32_t size);

// Reads one line, of at most `capacity` - 1 bytes, without its newline, NUL-terminated. Returns its length, -1 at
// the end of the input, -2 if it is longer (the rest of the line is then skipped). REQUIRES: capacity > 1.
int32_t read_line(int32_t fd, char* line, uint32_t capacity);

// Reads the file at `path` into fresh memory, NUL-terminated; null on failure, with the negated error in `*error`.
// The caller frees it.
char* load_file(const char* path, int32_t* error);

}  // namespace ulib
