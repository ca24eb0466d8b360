// halt [pass|fail|VALUE]: ends the machine; VALUE goes to the debug-exit port. Default: pass.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

int main(int argc, char** argv) {
  uint32_t value = guest_abi::kVerdictPass;
  if (argc > 2) ulib::die("usage: halt [pass|fail|VALUE]");
  if (argc == 2 && ulib::equal(argv[1], "fail")) {
    value = guest_abi::kVerdictFail;
  } else if (argc == 2 && !ulib::equal(argv[1], "pass") && !ulib::parse_number(argv[1], UINT32_MAX, &value)) {
    ulib::die("halt: %s: neither pass, fail nor a number", argv[1]);
  }
  ulib::shutdown(value);
}
