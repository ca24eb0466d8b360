// The control socket's server: HTTP/1.1 with JSON, for one VM. docs/control.md describes the routes.
//
// One thread with a poll loop serves everybody: at most kMaxConnections at a time, one request a connection, and a
// deadline for each. So a client that is slow, silent or hostile costs a slot for a while, and never the VM.
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"
#include "vmm/control/registry.h"
#include "vmm/control/vm_service.h"

namespace twofold {

struct ServerLimits {
  size_t max_connections = 8;                    // others wait in the socket's backlog
  std::chrono::milliseconds request_time{2000};  // from accept to the request's last byte
  std::chrono::milliseconds reply_time{2000};    // from there to the reply's last byte
};

class ControlServer {
 public:
  // Starts serving `vm` on the sockets of the registrations; the first names it. `vm` must outlive the server. Errors:
  // no thread or descriptor. REQUIRES: at least one
  static Result<std::unique_ptr<ControlServer>> start(std::vector<Registration> registrations, VmService& vm,
                                                      ServerLimits limits = ServerLimits{});

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Ends the thread (after the request at hand), then frees the names. Not to be called from inside a VmService method.
  ~ControlServer();

  [[nodiscard]] const std::string& name() const { return registrations_.front().name(); }
  [[nodiscard]] const std::string& socket_path() const { return registrations_.front().socket_path(); }

 private:
  ControlServer(std::vector<Registration> registrations, VmService& vm, ServerLimits limits, UniqueFd stop);
  void serve();

  std::vector<Registration> registrations_;
  VmService& vm_;
  const ServerLimits limits_;
  UniqueFd stop_;  // eventfd: signalled by the destructor, polled by the thread
  std::thread thread_;
};

}  // namespace twofold
