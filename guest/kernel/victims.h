// Which pages to give up: the policies.
//
// clock   second chance, the default: a page that was used since it was last looked at (the accessed flag) goes to the
//         end of the queue; of the others, clean pages go before dirty ones.
// fifo    the page that came in first, used or not.
// random  any page.
// The last two are there to be compared with; the option policy=NAME chooses.
//
// Thread safety: the big kernel lock. Nothing here sleeps.
#pragma once

#include <stdint.h>

namespace twofold::kernel {

struct Victims {
  static constexpr uint32_t kMax = 32;

  uint32_t clean[kMax];  // frame numbers; nothing is lost if they are dropped
  uint32_t dirty[kMax];
  uint32_t clean_count;
  uint32_t dirty_count;
  uint32_t examined;  // pages looked at

  [[nodiscard]] bool has(uint32_t number) const;
};

namespace victims {

// Reads the option policy=NAME; one line if it names none.
void init();
const char* policy_name();

// Looks at some pages, and chooses up to `target` clean ones, and dirty ones too unless `dirty_too` is false. There may
// be more dirty ones than are needed to make up for missing clean ones. REQUIRES: target <= Victims::kMax
void choose(uint32_t target, bool dirty_too, Victims* victims);

}  // namespace victims
}  // namespace twofold::kernel
