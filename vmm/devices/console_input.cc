#include "vmm/devices/console_input.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace twofold {

ConsoleInput::State ConsoleInput::on_readable() {
  std::array<char, 512> bytes;
  const size_t room = std::min(uart_.input_room(), bytes.size());
  if (room == 0) return State::kFull;

  const ssize_t n = ::read(fd_, bytes.data(), room);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return State::kOpen;
  if (n <= 0) return State::kEnd;

  const std::span<char> got(bytes.data(), static_cast<size_t>(n));
  const size_t kept = escapes_ ? filter_.filter(got) : got.size();
  uart_.enqueue(got.first(kept));  // fits: nobody else enqueues, so the room can only have grown
  if (filter_.quit()) return State::kQuit;
  return uart_.input_room() == 0 ? State::kFull : State::kOpen;
}

}  // namespace twofold
