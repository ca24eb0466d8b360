// sbrk, demand-zero memory, and ulib's heap on top of it.
#include "guest/user/ulib/heap.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

bool all_zero(const uint8_t* bytes, uint32_t size) {
  for (uint32_t i = 0; i < size; ++i) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

void moves_by_bytes() {
  const int32_t start = sbrk(0);
  CHECK_EQ(sbrk(1), start);
  CHECK_EQ(sbrk(5000), start + 1);
  CHECK_EQ(sbrk(-5000), start + 5001);
  CHECK_EQ(sbrk(0), start + 1);
  CHECK_EQ(sbrk(-1), start + 1);
  CHECK_EQ(sbrk(0), start);
}

void starts_zeroed() {
  const uint8_t* pages = reserve_pages(20);
  CHECK(all_zero(pages, 20 * kPageSize));
}

// What a process leaves in its frames must not show in another's.
void recycled_frames_are_zeroed() {
  constexpr uint32_t kPages = 200;
  CHECK_CHILD(memset(reserve_pages(kPages), 0xa5, kPages * kPageSize));
  CHECK_CHILD(CHECK(all_zero(reserve_pages(kPages), kPages * kPageSize)));
}

void regrown_heap_is_zeroed() {
  constexpr int32_t kSize = 20 * kPageSize;
  uint8_t* pages = reserve_pages(20);
  memset(pages, 0xa5, kSize);
  CHECK(sbrk(-kSize) > 0);
  CHECK_EQ(sbrk(kSize), address_of(pages));
  CHECK(all_zero(pages, kSize));
}

// The same within one page, which stays mapped as the break moves in it.
void regrown_bytes() {
  uint8_t* page = reserve_pages(1);
  memset(page, 0xa5, kPageSize);
  CHECK(sbrk(-1000) > 0);
  CHECK(sbrk(1000) > 0);
  CHECK_EQ(page[0], 0xa5);
  CHECK_EQ(page[kPageSize - 1001], 0xa5);
  const bool kept = page[kPageSize - 1] == 0xa5;
  CHECK(kept || all_zero(page + kPageSize - 1000, 1000));
}

void shrinking_gives_frames_back() {
  constexpr uint32_t kPages = 50;
  uint8_t* pages = reserve_pages(kPages);
  pages[0] = 1;
  const MemStat before = memory();
  for (uint32_t i = 1; i < kPages; ++i) pages[i * kPageSize] = 1;
  CHECK_EQ(memory().free, before.free - (kPages - 1));
  CHECK(sbrk(-static_cast<int32_t>((kPages - 1) * kPageSize)) > 0);
  CHECK_EQ(memory().free, before.free);
  CHECK_EQ(pages[0], 1);
  CHECK_KILLED(pages[kPageSize] = 1);
  CHECK_KILLED(pages[(kPages - 1) * kPageSize] = 1);
}

void impossible_breaks() {
  const int32_t start = sbrk(0);
  CHECK_EQ(sbrk(-start), -kENomem);
  CHECK_EQ(sbrk(INT32_MIN), -kENomem);
  CHECK_EQ(sbrk(-(1 << 30)), -kENomem);
  CHECK_EQ(sbrk(INT32_MAX), -kENomem);
  CHECK_EQ(sbrk(static_cast<int32_t>(kUserTop - static_cast<uint32_t>(start))), -kENomem);
  CHECK_EQ(sbrk(static_cast<int32_t>(kUserTop - kUserStackMax + 1 - static_cast<uint32_t>(start))), -kENomem);
  CHECK_EQ(sbrk(0), start);
}

// The program's own data lies below the heap and must survive attempts to give it away.
void heap_does_not_shrink_into_the_program() {
  static uint8_t data[2 * kPageSize];
  data[kPageSize] = 0x5a;
  const int32_t start = sbrk(0);
  for (int32_t size = 1; size < static_cast<int32_t>(8 * kPageSize); size += 1000) sbrk(-size);
  CHECK(sbrk(0) <= start);
  CHECK_EQ(data[kPageSize], 0x5a);
}

// Address space is not memory: a heap much larger than RAM costs nothing until touched.
void sparse_heap() {
  const MemStat before = memory();
  constexpr int32_t kSize = 1 << 30;
  const int32_t start = sbrk(kSize);
  if (start == -kENomem) return;  // a kernel may refuse to promise more than it has
  CHECK(start > 0);
  CHECK(before.free - memory().free < 4);
  volatile uint8_t* far = at(static_cast<uint32_t>(start)) + kSize - 1;
  CHECK_EQ(*far, 0);
  *far = 1;
  CHECK_EQ(*far, 1);
  CHECK(before.free - memory().free < 8);
  CHECK(sbrk(-kSize) > 0);
  CHECK_KILLED(*far = 2);
}

void page_past_the_break() {
  uint8_t* page = reserve_pages(1);
  CHECK_EQ(page[kPageSize - 1], 0);
  CHECK_KILLED(page[kPageSize] = 1);
}

void library_heap() {
  constexpr uint32_t kBlocks = 200;
  uint8_t* blocks[kBlocks] = {};
  ulib::release(ulib::allocate(100000));
  const uint32_t free_bytes = ulib::heap_free_bytes();
  uint32_t random = 12345;
  for (uint32_t turn = 0; turn < 20 * kBlocks; ++turn) {
    random = random * 1664525 + 1013904223;
    const uint32_t index = (random >> 8) % kBlocks;
    const uint8_t mark = static_cast<uint8_t>(index);
    if (blocks[index] == nullptr) {
      const uint32_t size = 2 + (random >> 20) % 300;
      blocks[index] = static_cast<uint8_t*>(ulib::allocate(size));
      CHECK(blocks[index] != nullptr);
      CHECK_EQ(address_of(blocks[index]) % 16, 0);
      memset(blocks[index], mark, size);
      blocks[index][1] = static_cast<uint8_t>(~mark);
    } else {
      CHECK_EQ(blocks[index][0], mark);
      CHECK_EQ(blocks[index][1], static_cast<uint8_t>(~mark));
      ulib::release(blocks[index]);
      blocks[index] = nullptr;
    }
  }
  for (uint8_t* block : blocks) ulib::release(block);
  CHECK_EQ(ulib::heap_free_bytes(), free_bytes);  // and in one piece: a block of the whole is there
  void* whole = ulib::allocate(free_bytes - 64);
  CHECK(whole != nullptr);
  CHECK(ulib::heap_free_bytes() < 64);
  CHECK(ulib::allocate(INT32_MAX) == nullptr);
  CHECK(ulib::allocate(UINT32_MAX) == nullptr);
}

const Case kCases[] = {
    {"moves_by_bytes", moves_by_bytes},
    {"starts_zeroed", starts_zeroed},
    {"recycled_frames_are_zeroed", recycled_frames_are_zeroed},
    {"regrown_heap_is_zeroed", regrown_heap_is_zeroed},
    {"regrown_bytes", regrown_bytes},
    {"shrinking_gives_frames_back", shrinking_gives_frames_back},
    {"impossible_breaks", impossible_breaks},
    {"heap_does_not_shrink_into_the_program", heap_does_not_shrink_into_the_program},
    {"sparse_heap", sparse_heap},
    {"page_past_the_break", page_past_the_break},
    {"library_heap", library_heap},
};

}  // namespace

Section heap_section() {
  return section("heap", kCases);
}

}  // namespace usertests
