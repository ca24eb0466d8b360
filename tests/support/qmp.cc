#include "tests/support/qmp.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace twofold::test {

namespace {

using Clock = std::chrono::steady_clock;

UniqueFd connect_to(const std::string& path, Clock::time_point deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("QMP: the path is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  for (;;) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    if (Clock::now() >= deadline) throw std::runtime_error("QMP: cannot connect to " + path + ": " + errno_text(errno));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // QEMU may still be on its way
  }
}

}  // namespace

Qmp::Qmp(const std::string& path, std::chrono::milliseconds limit)
    : fd_(connect_to(path, Clock::now() + limit)), limit_(limit) {
  (void)read_message();  // the greeting
  (void)execute("qmp_capabilities");
}

nlohmann::json Qmp::execute(const std::string& command, const nlohmann::json& arguments) {
  const std::string text = nlohmann::json{{"execute", command}, {"arguments", arguments}}.dump() + "\n";
  if (::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("QMP: cannot send " + text);
  }
  for (;;) {
    const auto message = read_message();
    if (message.contains("error")) throw std::runtime_error("QMP: " + command + ": " + message.dump());
    if (message.contains("return")) return message["return"];
  }
}

// Messages are JSON objects, a line each.
nlohmann::json Qmp::read_message() {
  const auto deadline = Clock::now() + limit_;
  for (;;) {
    if (const auto end = buffer_.find('\n'); end != std::string::npos) {
      const auto message = nlohmann::json::parse(buffer_.substr(0, end));
      buffer_.erase(0, end + 1);
      return message;
    }
    pollfd readable{fd_.get(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) throw std::runtime_error("QMP: no answer");
    std::array<char, 4096> bytes;
    const ssize_t count = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (count <= 0) throw std::runtime_error("QMP: QEMU has closed the connection");
    buffer_.append(bytes.data(), static_cast<size_t>(count));
  }
}

}  // namespace twofold::test
