#include "vmm/control/server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <vector>

#include "vmm/base/log.h"
#include "vmm/control/http.h"
#include "vmm/control/routes.h"

namespace twofold {

namespace {

using Clock = std::chrono::steady_clock;

// Read no more of a refused request than this while waiting for its sender to notice.
constexpr size_t kMaxDrainBytes = 1024 * 1024;
// How long not to look at the listener after the process ran out of descriptors.
constexpr int kAcceptPauseMs = 50;

// One client: reads a request, writes the reply, then drains what the client still sends, so that closing does not
// cut the reply off from a client that is still writing.
class Connection {
 public:
  Connection(UniqueFd fd, const ServerLimits& limits)
      : fd_(std::move(fd)), limits_(limits), deadline_(Clock::now() + limits.request_time) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] short events() const { return phase_ == Phase::kWrite ? POLLOUT : POLLIN; }
  [[nodiscard]] bool finished() const { return phase_ == Phase::kFinished; }
  [[nodiscard]] Clock::time_point deadline() const { return deadline_; }

  void on_ready(VmService& vm) {
    if (phase_ == Phase::kRead) read_request(vm);
    if (phase_ == Phase::kWrite) write_reply();
    if (phase_ == Phase::kDrain) drain();
  }

  void on_deadline() {
    if (phase_ != Phase::kRead) {
      phase_ = Phase::kFinished;
      return;
    }
    reply(http::error_response(408, "the request took too long to arrive"));
    write_reply();
  }

 private:
  enum class Phase { kRead, kWrite, kDrain, kFinished };

  // What recv brought: nothing for now, the end, or bytes in buffer_.
  ssize_t receive() {
    ssize_t count = 0;
    do {
      count = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    } while (count < 0 && errno == EINTR);
    if (count == 0 || (count < 0 && errno != EAGAIN)) phase_ = Phase::kFinished;
    return count;
  }

  // One buffer a call, so that a client that sends without pause does not keep the others waiting.
  void read_request(VmService& vm) {
    const ssize_t count = receive();
    if (count <= 0) return;
    switch (reader_.feed({buffer_.data(), static_cast<size_t>(count)})) {
      case http::RequestReader::State::kMore:
        return;
      case http::RequestReader::State::kRefused:
        return reply(reader_.refusal());
      case http::RequestReader::State::kDone:
        return reply(answer(vm));
    }
  }

  // The libraries underneath may throw where memory ends; that is this client's loss and not the guest's.
  http::Response answer(VmService& vm) {
    try {
      return handle_request(vm, reader_.request());
    } catch (const std::exception& error) {
      return http::error_response(500, error.what());
    }
  }

  void reply(const http::Response& response) {
    unsent_ = http::to_wire(response);
    deadline_ = Clock::now() + limits_.reply_time;
    phase_ = Phase::kWrite;
  }

  void write_reply() {
    while (!unsent_.empty()) {
      const ssize_t count = ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count < 0) {
        phase_ = Phase::kFinished;
        return;
      }
      unsent_.erase(0, static_cast<size_t>(count));
    }
    ::shutdown(fd_.get(), SHUT_WR);
    phase_ = Phase::kDrain;
  }

  void drain() {
    const ssize_t count = receive();
    if (count > 0) drained_ += static_cast<size_t>(count);
    if (drained_ > kMaxDrainBytes) phase_ = Phase::kFinished;
  }

  UniqueFd fd_;
  ServerLimits limits_;
  Clock::time_point deadline_;
  Phase phase_ = Phase::kRead;
  http::RequestReader reader_;
  std::string unsent_;
  size_t drained_ = 0;
  std::array<char, 4096> buffer_;
};

using Connections = std::vector<std::unique_ptr<Connection>>;

// Milliseconds until the first deadline, rounded up; -1 when nobody is connected.
int poll_timeout(const Connections& connections) {
  if (connections.empty()) return -1;
  auto first = Clock::time_point::max();
  for (const auto& connection : connections) first = std::min(first, connection->deadline());
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

// False when the process has no descriptor or memory to spare: then the listener stays readable.
bool accept_client(int listener, Connections& connections, const ServerLimits& limits) {
  UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
  connections.push_back(std::make_unique<Connection>(std::move(client), limits));
  return true;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(std::vector<Registration> registrations, VmService& vm,
                                                            ServerLimits limits) {
  auto stop = make_eventfd();
  if (!stop) return pass_on(stop);
  std::unique_ptr<ControlServer> server(new ControlServer(std::move(registrations), vm, limits, std::move(*stop)));
  // The thread inherits the mask: no signal of the process is ever handled on it.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::error_code error;
  try {
    server->thread_ = std::thread([s = server.get()] { s->serve(); });
  } catch (const std::system_error& refused) {
    error = refused.code();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error) return fail("cannot start the control server's thread: {}", error.message());
  return server;
}

ControlServer::ControlServer(std::vector<Registration> registrations, VmService& vm, ServerLimits limits, UniqueFd stop)
    : registrations_(std::move(registrations)), vm_(vm), limits_(limits), stop_(std::move(stop)) {}

ControlServer::~ControlServer() {
  signal_eventfd(stop_.get());
  if (thread_.joinable()) thread_.join();
}

void ControlServer::serve() {
  ::pthread_setname_np(::pthread_self(), "control");
  Connections connections;
  std::vector<pollfd> polled;
  for (;;) {
    const bool room = connections.size() < limits_.max_connections;
    polled.assign({{stop_.get(), POLLIN, 0}});
    for (const Registration& registration : registrations_) {
      polled.push_back({registration.listener(), static_cast<short>(room ? POLLIN : 0), 0});
    }
    const size_t first = polled.size();  // of the clients
    for (const auto& connection : connections) polled.push_back({connection->fd(), connection->events(), 0});
    if (::poll(polled.data(), polled.size(), poll_timeout(connections)) < 0 && errno != EINTR) {
      spdlog::warn("the control socket of '{}' is served no longer: poll failed: {}", name(), errno_text(errno));
      return;
    }
    if (polled[0].revents != 0) return;

    const auto now = Clock::now();
    for (size_t i = 0; i < connections.size(); ++i) {
      if (polled[first + i].revents != 0) {
        connections[i]->on_ready(vm_);
      } else if (connections[i]->deadline() <= now) {
        connections[i]->on_deadline();
      }
    }
    std::erase_if(connections, [](const auto& connection) { return connection->finished(); });
    for (size_t i = 1; i < first; ++i) {
      if (polled[i].revents == 0 || connections.size() >= limits_.max_connections) continue;
      if (!accept_client(polled[i].fd, connections, limits_)) ::poll(polled.data(), 1, kAcceptPauseMs);
    }
  }
}

}  // namespace twofold
