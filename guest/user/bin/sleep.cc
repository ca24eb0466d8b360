// sleep SECONDS: waits; SECONDS may have two decimals.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/time.h"

int main(int argc, char** argv) {
  uint32_t hundredths = 0;
  if (argc != 2 || !ulib::parse_hundredths(argv[1], ulib::kMaxHundredths, &hundredths)) {
    ulib::die("usage: sleep SECONDS, at most %u", ulib::kMaxHundredths / 100);
  }
  ulib::sleep_hundredths(hundredths);
  return 0;
}
