// A small heap over sbrk: first fit on an address-ordered free list, with neighbours merged.
//
// Not for concurrent use: a process has one thread.
#pragma once

#include <stdint.h>

namespace ulib {

// Memory of `size` bytes, 16-byte aligned, content unspecified; null if there is no more.
void* allocate(uint32_t size);

// Gives back what allocate returned; null is fine.
void release(void* memory);

// Bytes in the free list: tests use it to see that all came back.
uint32_t heap_free_bytes();

}  // namespace ulib
