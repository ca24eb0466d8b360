#include "guest/abi/abi.h"
#include "guest/user/ulib/print.h"

namespace ulib {

const char* error_text(int32_t result) {
  switch (result < 0 ? -result : result) {
    case guest_abi::kENoent:
      return "no such file or process";
    case guest_abi::kEIo:
      return "input/output error";
    case guest_abi::kE2Big:
      return "argument list too long";
    case guest_abi::kENoexec:
      return "not a program that can run";
    case guest_abi::kEBadf:
      return "bad file descriptor";
    case guest_abi::kEChild:
      return "no child processes";
    case guest_abi::kEAgain:
      return "no more processes";
    case guest_abi::kENomem:
      return "out of memory";
    case guest_abi::kEFault:
      return "bad address";
    case guest_abi::kENotdir:
      return "not a directory";
    case guest_abi::kEIsdir:
      return "is a directory";
    case guest_abi::kEInval:
      return "invalid argument";
    case guest_abi::kEMfile:
      return "too many open files";
    case guest_abi::kERofs:
      return "read-only file system";
    case guest_abi::kEPipe:
      return "broken pipe";
    case guest_abi::kENosys:
      return "no such system call";
    default:
      return "unknown error";
  }
}

}  // namespace ulib
