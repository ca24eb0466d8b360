// Where control sockets live, and who is there: one socket a VM, DIRECTORY/NAME.sock.
//
// DIRECTORY is $XDG_RUNTIME_DIR/twofold; without that variable /run/user/UID/twofold, and where that does not exist
// /tmp/twofold-UID. It belongs to the user with mode 0700, which is checked, and is what keeps others out even in the
// instant between bind and chmod.
//
// A socket outlives a process that is killed. Nobody answers there (ECONNREFUSED), so whoever meets it next removes
// it. Claiming and removing hold a lock (flock) on the directory: otherwise one process could remove the socket that
// another has bound and not yet listened on.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

// A VM that runs, or at least whose socket still takes connections.
struct RegisteredVm {
  std::string name;
  std::string socket_path;
  pid_t pid = 0;  // of the process that listens (SO_PEERCRED)
};

// A name taken by this process: the listening socket behind it. Frees name and socket when destroyed.
class Registration {
 public:
  Registration(Registration&& other) noexcept;
  Registration& operator=(Registration&&) = delete;
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }
  // Listening, non-blocking, close-on-exec.
  [[nodiscard]] int listener() const { return listener_.get(); }

 private:
  friend class Registry;
  Registration(std::string name, std::string socket_path, UniqueFd listener);

  std::string name_;
  std::string socket_path_;
  UniqueFd listener_;
};

// Thread safety: immutable once opened; processes exclude each other through the directory's lock.
class Registry {
 public:
  // The user's own registry; creates the directory. Errors: it belongs to someone else, is open to others, or cannot
  // be made.
  static Result<Registry> open();

  // A registry in `directory`, created with mode 0700 if it does not exist.
  static Result<Registry> open_at(const std::string& directory);

  [[nodiscard]] const std::string& directory() const { return path_; }

  // Takes `name` and listens on its socket (mode 0600). Removes a stale socket of that name first. Errors: the name is
  // not valid, is in use by a live VM, or makes the socket's path longer than the kernel takes (107 bytes).
  [[nodiscard]] Result<Registration> claim(std::string_view name) const;

  // The same, but on a socket at `path`, where whoever put it there looks for it: list() and find() do not know of it.
  // Errors: somebody listens there already, there is something that is no socket, or it cannot be made.
  static Result<Registration> claim_at(std::string_view name, const std::string& path, int type = SOCK_STREAM);

  // The VMs that run, by name. Removes stale sockets.
  [[nodiscard]] Result<std::vector<RegisteredVm>> list() const;

  // The one that `name` means; with an empty name, the only one that runs. Errors name those that run.
  [[nodiscard]] Result<RegisteredVm> find(std::string_view name) const;

 private:
  explicit Registry(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

// 1 to 64 of A-Z a-z 0-9 . _ -, and not starting with a dot or a dash.
[[nodiscard]] Status check_vm_name(std::string_view name);

// "vm-PID": what a VM is called when nobody names it.
[[nodiscard]] std::string default_vm_name(pid_t pid);

}  // namespace twofold
