#include "vmm/control/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "vmm/control/http.h"
#include "vmm/control/json_text.h"
#include "vmm/control/unix_socket.h"

namespace twofold {

namespace {

using Clock = std::chrono::steady_clock;

// Waits for `events`; false when `deadline` comes first.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd polled = {fd, events, 0};
    const int ready = left > 0 ? ::poll(&polled, 1, static_cast<int>(left)) : 0;
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

}  // namespace

Result<nlohmann::json> VmClient::info() const {
  return call("GET", "/vm", {});
}

Result<nlohmann::json> VmClient::set_state(std::string_view state) const {
  return call("PUT", "/vm/state", json_text({{"state", state}}));
}

Result<nlohmann::json> VmClient::walk(const WalkRequest& request) const {
  return call("GET", walk_target(request), {});
}

Result<nlohmann::json> VmClient::processes() const {
  return call("GET", "/vm/processes", {});
}

Result<nlohmann::json> VmClient::balloon() const {
  return call("GET", "/vm/balloon", {});
}

Result<nlohmann::json> VmClient::set_balloon(uint64_t target_bytes) const {
  return call("PUT", "/vm/balloon", fmt::format("{{\"target_bytes\":{}}}", target_bytes));
}

Result<nlohmann::json> VmClient::memory() const {
  return call("GET", "/vm/memory", {});
}

Result<nlohmann::json> VmClient::merging() const {
  return call("GET", "/vm/merging", {});
}

Result<nlohmann::json> VmClient::set_merging(bool on) const {
  return call("PUT", "/vm/merging", on ? R"({"state":"on"})" : R"({"state":"off"})");
}

std::string walk_target(const WalkRequest& request) {
  std::string target = fmt::format("/vm/walk?gva={:#x}", request.gva.value);
  if (request.cr3) target += fmt::format("&cr3={:#x}", *request.cr3);
  if (request.pid) target += fmt::format("&pid={}", *request.pid);
  if (request.process) target += "&process=" + http::percent_encode(*request.process);
  if (request.vcpu) target += fmt::format("&vcpu={}", *request.vcpu);
  return target;
}

Result<nlohmann::json> VmClient::call(std::string_view method, std::string_view target, std::string_view body) const {
  const auto wire = exchange(http::to_wire(method, target, body));
  if (!wire) return pass_on(wire);
  const auto response = http::parse_response(*wire);
  if (!response) return fail("VM '{}' gave no usable answer: {}", vm_.name, response.error().message);
  auto json = nlohmann::json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fail("VM '{}' gave no usable answer: its body is not JSON", vm_.name);
  if (response->status < 400) return json;
  if (json.is_object() && json.contains("error") && json["error"].is_string()) {
    return fail("{}", json["error"].get<std::string>());
  }
  return fail("VM '{}' refused with HTTP status {}", vm_.name, response->status);
}

// Sends the request and reads until the server closes. A server that refuses a request may close before it has read
// all of it, so a failed send still looks for a reply.
Result<std::string> VmClient::exchange(std::string_view request) const {
  const auto deadline = Clock::now() + patience_;
  const auto silent = [&] { return fail("VM '{}' (pid {}) does not answer; is it suspended?", vm_.name, vm_.pid); };
  UnixConnection connection = connect_unix(vm_.socket_path, patience_);
  if (connection.error == EAGAIN) return silent();
  if (!connection.fd) return fail("VM '{}' is gone: {}", vm_.name, errno_text(connection.error));
  const int fd = connection.fd.get();

  while (!request.empty()) {
    if (!wait_for(fd, POLLOUT, deadline)) return silent();
    const ssize_t count = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) break;
    if (count > 0) request.remove_prefix(static_cast<size_t>(count));
  }
  std::string reply;
  std::array<char, 4096> buffer;
  while (reply.size() <= http::kMaxResponseBytes) {
    if (!wait_for(fd, POLLIN, deadline)) return silent();
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) break;
    reply.append(buffer.data(), static_cast<size_t>(count));
  }
  if (reply.empty()) return fail("VM '{}' closed the connection without an answer: it is ending", vm_.name);
  return reply;
}

}  // namespace twofold
