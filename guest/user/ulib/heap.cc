#include "guest/user/ulib/heap.h"

#include "guest/user/ulib/syscall.h"

namespace ulib {
namespace {

constexpr uint32_t kAlignment = 16;
constexpr uint32_t kGrowth = 16 * guest_abi::kPageSize;

// Precedes each block, free or not. `size` counts this header; `next` is meaningful while free.
struct alignas(kAlignment) Block {
  uint32_t size;
  Block* next;
};

Block* first_free = nullptr;

Block* end_of(Block* block) {
  return reinterpret_cast<Block*>(reinterpret_cast<uint8_t*>(block) + block->size);
}

// Puts `block` in its place by address and merges it with neighbours that it touches.
void insert(Block* block) {
  Block* before = nullptr;
  Block* after = first_free;
  while (after != nullptr && after < block) {
    before = after;
    after = after->next;
  }
  block->next = after;
  if (after != nullptr && end_of(block) == after) {
    block->size += after->size;
    block->next = after->next;
  }
  if (before == nullptr) {
    first_free = block;
  } else if (end_of(before) == block) {
    before->size += block->size;
    before->next = block->next;
  } else {
    before->next = block;
  }
}

bool grow(uint32_t needed) {
  const uint32_t size = (needed + kAlignment + kGrowth - 1) / kGrowth * kGrowth;
  if (size < needed || size > INT32_MAX) return false;
  const int32_t old_break = sbrk(static_cast<int32_t>(size));
  if (old_break < 0) return false;
  const uint32_t start = (static_cast<uint32_t>(old_break) + kAlignment - 1) & ~(kAlignment - 1);
  auto* block = reinterpret_cast<Block*>(start);
  block->size = (static_cast<uint32_t>(old_break) + size - start) & ~(kAlignment - 1);
  insert(block);
  return true;
}

// Takes `size` bytes from the first free block that has them; null if none has.
Block* take(uint32_t size) {
  for (Block** link = &first_free; *link != nullptr; link = &(*link)->next) {
    Block* block = *link;
    if (block->size < size) continue;
    if (block->size - size < 2 * sizeof(Block)) {
      *link = block->next;
      return block;
    }
    auto* rest = reinterpret_cast<Block*>(reinterpret_cast<uint8_t*>(block) + size);
    rest->size = block->size - size;
    rest->next = block->next;
    *link = rest;
    block->size = size;
    return block;
  }
  return nullptr;
}

}  // namespace

void* allocate(uint32_t size) {
  if (size > INT32_MAX - kGrowth) return nullptr;
  const uint32_t needed = (size + sizeof(Block) + kAlignment - 1) & ~(kAlignment - 1);
  Block* block = take(needed);
  if (block == nullptr && grow(needed)) block = take(needed);
  return block == nullptr ? nullptr : block + 1;
}

void release(void* memory) {
  if (memory != nullptr) insert(static_cast<Block*>(memory) - 1);
}

uint32_t heap_free_bytes() {
  uint32_t bytes = 0;
  for (const Block* block = first_free; block != nullptr; block = block->next) bytes += block->size;
  return bytes;
}

}  // namespace ulib
