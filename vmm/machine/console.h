// The guest's console: COM1 between the guest, an output, and perhaps a person's keyboard.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "vmm/base/fd.h"
#include "vmm/devices/console_input.h"
#include "vmm/devices/console_sink.h"
#include "vmm/devices/terminal.h"
#include "vmm/devices/uart16550.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/irq_line.h"

namespace twofold {

// Where console output goes, and whether stdin is read.
struct ConsoleTarget {
  enum class Kind : uint8_t { kStdio, kFile, kNone } kind = Kind::kStdio;
  std::string path;  // for kFile
};

// Created before vCPUs run. Input is read on the event loop's thread; output is written on vCPU threads (see FdSink).
class Console {
 public:
  // `on_quit` is called on the loop's thread when a person types Ctrl-A x. All references outlive the console.
  static Result<std::unique_ptr<Console>> create(const ConsoleTarget& target, const Vm& vm, EventLoop& loop,
                                                 std::function<void()> on_quit);

  [[nodiscard]] Uart16550& uart() { return *uart_; }

  // Writes out what is buffered; blocks on a slow reader. For after the last vCPU has ended.
  void flush();
  // Releases whoever waits for a slow reader; what cannot be written at once is dropped from here on. Safe in any
  // thread.
  void cancel();

 private:
  Console(EventLoop& loop, std::function<void()> on_quit) : loop_(loop), on_quit_(std::move(on_quit)) {}
  Status open_output(const ConsoleTarget& target);
  Status watch_input();
  bool start_watching();
  void resume_input();
  void read_input();

  EventLoop& loop_;
  std::function<void()> on_quit_;
  std::unique_ptr<ConsoleSink> sink_;
  FdSink* fd_sink_ = nullptr;  // sink_, where it is one
  std::unique_ptr<IrqLine> irq_;
  std::unique_ptr<Uart16550> uart_;
  std::optional<Terminal> terminal_;
  std::optional<ConsoleInput> input_;
  UniqueFd room_event_;        // signalled when the guest made room for more input
  bool watching_ = false;      // stdin is in the loop
  bool always_ready_ = false;  // stdin is a regular file
};

}  // namespace twofold
