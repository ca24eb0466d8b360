#include "vmm/machine/console.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/memory/layout.h"

namespace twofold {

Result<std::unique_ptr<Console>> Console::create(const ConsoleTarget& target, const Vm& vm, EventLoop& loop,
                                                 std::function<void()> on_quit) {
  std::unique_ptr<Console> console(new Console(loop, std::move(on_quit)));
  if (auto done = console->open_output(target); !done) return pass_on(done);
  auto irq = IrqLine::create(vm, layout::kIrqCom1);
  if (!irq) return pass_on(irq);
  console->irq_ = std::move(*irq);
  console->uart_ = std::make_unique<Uart16550>(*console->irq_, *console->sink_);
  if (target.kind == ConsoleTarget::Kind::kStdio) {
    if (auto done = console->watch_input(); !done) return pass_on(done);
  }
  return console;
}

Status Console::open_output(const ConsoleTarget& target) {
  if (target.kind == ConsoleTarget::Kind::kNone) {
    sink_ = std::make_unique<NullSink>();
    return {};
  }
  auto sink =
      target.kind == ConsoleTarget::Kind::kFile ? FdSink::create_file(target.path) : FdSink::create(STDOUT_FILENO);
  if (!sink) return pass_on(sink);
  fd_sink_ = sink->get();
  sink_ = std::move(*sink);
  return loop_.add(fd_sink_->timer_fd(), EPOLLIN, [this](uint32_t) { fd_sink_->on_timer(); });
}

Status Console::watch_input() {
  auto terminal = Terminal::make_raw(STDIN_FILENO);
  if (!terminal) return pass_on(terminal);
  if (*terminal) terminal_.emplace(std::move(**terminal));
  input_.emplace(STDIN_FILENO, terminal_.has_value(), *uart_);

  auto room = make_eventfd();
  if (!room) return pass_on(room);
  room_event_ = std::move(*room);
  uart_->set_room_callback([this] { signal_eventfd(room_event_.get()); });
  auto added = loop_.add(room_event_.get(), EPOLLIN, [this](uint32_t) {
    drain_eventfd(room_event_.get());
    resume_input();
  });
  if (!added) return added;
  // Epoll takes no regular files and not /dev/null: those are always ready, and are read whenever there is room.
  watching_ = start_watching();
  always_ready_ = !watching_;
  if (always_ready_) signal_eventfd(room_event_.get());
  return {};
}

bool Console::start_watching() {
  return loop_.add(STDIN_FILENO, EPOLLIN, [this](uint32_t) { read_input(); }).has_value();
}

// The guest made room.
void Console::resume_input() {
  if (!input_) return;
  if (always_ready_) {
    read_input();
  } else if (!watching_) {
    watching_ = start_watching();
  }
}

// Stdin is readable: one read, or, where it always is, as many as there is room for.
void Console::read_input() {
  auto state = input_->on_readable();
  while (always_ready_ && state == ConsoleInput::State::kOpen) state = input_->on_readable();
  if (state == ConsoleInput::State::kOpen) return;
  // Full: look away until the guest has read, or level-triggered epoll would spin. Ended: for good.
  if (watching_) loop_.remove(STDIN_FILENO);
  watching_ = false;
  if (state != ConsoleInput::State::kFull) input_.reset();
  if (state == ConsoleInput::State::kQuit) on_quit_();
}

void Console::flush() {
  if (fd_sink_ != nullptr) fd_sink_->flush();
}

void Console::cancel() {
  if (fd_sink_ != nullptr) fd_sink_->cancel();
}

}  // namespace twofold
