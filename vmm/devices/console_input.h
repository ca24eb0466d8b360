// Host input on its way to the guest's UART.
#pragma once

#include "vmm/devices/escape_filter.h"
#include "vmm/devices/uart16550.h"

namespace twofold {

// Reads a descriptor into a UART's input queue, never more than the queue has room for: a pipe that is faster than the
// guest waits in the kernel, and no byte is lost.
//
// For the event loop: call on_readable() when the descriptor is readable; stop watching it while the answer is kFull,
// and go on when the UART's room callback fires. Regular files cannot be watched by epoll (EPERM): they are always
// readable. One thread.
class ConsoleInput {
 public:
  enum class State {
    kOpen,  // watch on
    kFull,  // the guest has to read first
    kEnd,   // end of file, or an error: stop watching for good
    kQuit,  // Ctrl-A x
  };

  // `fd` is borrowed. `escapes`: whether Ctrl-A is an escape, as it is when a person types.
  ConsoleInput(int fd, bool escapes, Uart16550& uart) : fd_(fd), escapes_(escapes), uart_(uart) {}

  // One read(2). Where the descriptor is blocking, call only when it is readable.
  State on_readable();

 private:
  int fd_;
  bool escapes_;
  EscapeFilter filter_;
  Uart16550& uart_;
};

}  // namespace twofold
