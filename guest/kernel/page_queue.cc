#include "guest/kernel/page_queue.h"

namespace twofold::kernel::page_queue {
namespace {

uint32_t first = kNoFrame;
uint32_t last = kNoFrame;
uint32_t count = 0;

}  // namespace

uint32_t head() {
  return first;
}
uint32_t after(uint32_t number) {
  return frames::at(number).next;
}
uint32_t length() {
  return count;
}

void append(uint32_t number) {
  Frame& frame = frames::at(number);
  frame.next = kNoFrame;
  frame.previous = last;
  if (last != kNoFrame) {
    frames::at(last).next = number;
  } else {
    first = number;
  }
  last = number;
  ++count;
}

void remove(uint32_t number) {
  const Frame& frame = frames::at(number);
  if (frame.previous != kNoFrame) {
    frames::at(frame.previous).next = frame.next;
  } else {
    first = frame.next;
  }
  if (frame.next != kNoFrame) {
    frames::at(frame.next).previous = frame.previous;
  } else {
    last = frame.previous;
  }
  --count;
}

}  // namespace twofold::kernel::page_queue
