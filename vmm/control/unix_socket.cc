#include "vmm/control/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace twofold {

namespace {

constexpr int kBacklog = 16;

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Result<UniqueFd> listen_unix(const std::string& path, int type) {
  const auto address = address_of(path);
  if (!address) {
    return fail(
        "cannot make socket '{}': its path is {} bytes long and the kernel takes {}; give a shorter one "
        "(XDG_RUNTIME_DIR, "
        "for a VM's own)",
        path, path.size(), sizeof(sockaddr_un::sun_path) - 1);
  }
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail("cannot make a Unix socket: {}", errno_text(errno));
  // The mode that bind gives the file is the descriptor's, so it is 0600 from its first instant, whatever the umask.
  const bool bound = ::fchmod(fd.get(), 0600) == 0 && ::bind(fd.get(), generic(*address), sizeof *address) == 0;
  if (!bound) return fail("cannot bind socket '{}': {}", path, errno_text(errno));
  if (::listen(fd.get(), kBacklog) != 0) return fail("cannot listen on socket '{}': {}", path, errno_text(errno));
  return fd;
}

UnixConnection connect_unix(const std::string& path, std::chrono::milliseconds timeout, int type) {
  const auto address = address_of(path);
  if (!address) return {UniqueFd(), 0, ENAMETOOLONG};
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd) return {UniqueFd(), 0, errno};
  const timeval wait = {static_cast<time_t>(timeout.count() / 1000),
                        static_cast<suseconds_t>(timeout.count() % 1000 * 1000)};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);  // connect waits by it too: unix(7), socket(7)
  int outcome = -1;
  do {
    outcome = ::connect(fd.get(), generic(*address), sizeof *address);
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0) return {UniqueFd(), 0, errno};
  ucred peer = {};
  socklen_t length = sizeof peer;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length);
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  return {std::move(fd), peer.pid, 0};
}

void set_blocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

}  // namespace twofold
