#include "guest/user/sh/arena.h"

#include "guest/user/ulib/heap.h"
#include "guest/user/ulib/string.h"

namespace sh {

void* Arena::take(uint32_t size) {
  constexpr uint32_t kChunkBytes = 4000;
  if (size > INT32_MAX) return nullptr;
  const uint32_t needed = (size + 7) & ~7U;
  if (newest_ == nullptr || newest_->capacity - newest_->used < needed) {
    const uint32_t capacity = needed > kChunkBytes ? needed : kChunkBytes;
    auto* chunk = static_cast<Chunk*>(ulib::allocate(capacity + sizeof(Chunk)));
    if (chunk == nullptr) return nullptr;
    *chunk = Chunk{newest_, capacity, 0, 0};
    newest_ = chunk;
  }
  auto* memory = reinterpret_cast<uint8_t*>(newest_ + 1) + newest_->used;
  newest_->used += needed;
  memset(memory, 0, needed);
  return memory;
}

void Arena::reset() {
  while (newest_ != nullptr) {
    Chunk* next = newest_->next;
    ulib::release(newest_);
    newest_ = next;
  }
}

}  // namespace sh
