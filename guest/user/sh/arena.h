// Memory for one command line: taken piece by piece, given back all at once.
#pragma once

#include <stdint.h>

namespace sh {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { reset(); }

  // Zeroed, 8-byte aligned memory that lives until reset; null if there is no more.
  void* take(uint32_t size);

  // Gives back all that take returned.
  void reset();

 private:
  struct Chunk {
    Chunk* next;
    uint32_t capacity;
    uint32_t used;
    uint32_t padding;
  };

  Chunk* newest_ = nullptr;
};

}  // namespace sh
