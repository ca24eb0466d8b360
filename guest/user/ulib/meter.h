// How fast a workload goes: a line a second while it runs, and one at the end.
//
//   kvload: 3 s, 20481 operations/s, 112 major faults/s
//
// Major faults are those of the whole guest.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"

namespace ulib {

class Meter {
 public:
  // `unit` is what is counted, in the plural. `seconds` is how long the work is to go on; 0: until it is done.
  Meter(const char* program, const char* unit, uint32_t seconds);

  // Counts `done` more, and prints a line if another second has passed. Cheap: looks at the clock only now and then.
  void count(uint32_t done);

  // Whether the time is up. Looks at the clock when count() does.
  [[nodiscard]] bool is_over() const { return seconds_ > 0 && now_ - start_ >= seconds_ * rate_; }

  [[nodiscard]] uint32_t total() const { return total_; }

  // Prints the last line; `remark` ends it ("verified").
  void finish(const char* remark);

 private:
  void look();

  const char* program_;
  const char* unit_;
  uint32_t seconds_;
  uint32_t rate_;   // ticks a second
  uint32_t start_;  // ticks
  uint32_t now_;
  uint32_t total_ = 0;
  uint32_t since_look_ = 0;
  uint32_t second_start_;  // ticks; of the second that runs
  uint32_t second_total_ = 0;
  uint32_t first_faults_;
  uint32_t second_faults_;
};

}  // namespace ulib
