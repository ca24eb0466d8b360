// The control socket's server: HTTP/1.1 with JSON, for one VM. docs/control.md describes the routes.
//
// One thread with a poll loop serves everybody: at most kMaxConnections at a time, one request a connection, and a
// deadline for each. So a client that is slow, silent or hostile costs a slot for a while, and never the VM.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

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
  // Starts serving `vm` on the registration's socket. `vm` must outlive the server. Errors: no thread or descriptor.
  static Result<std::unique_ptr<ControlServer>> start(Registration registration, VmService& vm,
                                                      ServerLimits limits = ServerLimits{});

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Ends the thread (after the request at hand), then frees the name. Not to be called from inside a VmService method.
  ~ControlServer();

  [[nodiscard]] const std::string& name() const { return registration_.name(); }
  [[nodiscard]] const std::string& socket_path() const { return registration_.socket_path(); }

 private:
  ControlServer(Registration registration, VmService& vm, ServerLimits limits, UniqueFd stop);
  void serve();

  Registration registration_;
  VmService& vm_;
  const ServerLimits limits_;
  UniqueFd stop_;  // eventfd: signalled by the destructor, polled by the thread
  std::thread thread_;
};

}  // namespace twofold
