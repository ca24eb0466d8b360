// A hostile balloon driver: frame numbers, queues, register writes and notifications in any order.
//
//   fuzz_balloon -max_len=4096 -max_total_time=60
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/balloon_script.h"

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (const char* wrong = twofold::testing::run_balloon_script({data, size})) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
