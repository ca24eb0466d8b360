// Unix sockets, as the registry, the servers and the clients use them. `type`: SOCK_STREAM, or SOCK_SEQPACKET.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <string>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

// Binds and listens at `path`, which must not exist; mode 0600, non-blocking, close-on-exec. errno EADDRINUSE is told
// apart by the caller having looked first. Errors: the path is longer than the kernel takes, or the system refuses.
Result<UniqueFd> listen_unix(const std::string& path, int type = SOCK_STREAM);

struct UnixConnection {
  UniqueFd fd;         // non-blocking, close-on-exec; empty unless somebody listens
  pid_t peer_pid = 0;  // of the process that listens
  int error = 0;       // errno of connect: ECONNREFUSED and ENOENT mean that nobody is there
};

// Connects; waits at most `timeout` while the listener's backlog is full (EAGAIN after that).
UnixConnection connect_unix(const std::string& path, std::chrono::milliseconds timeout, int type = SOCK_STREAM);

// Makes calls on the descriptor wait.
void set_blocking(int fd);

}  // namespace twofold
