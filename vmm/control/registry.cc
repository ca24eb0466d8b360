#include "vmm/control/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "vmm/control/unix_socket.h"

namespace twofold {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kSuffix = ".sock";
constexpr size_t kMaxName = 64;
// Twice over what claim and list need under the lock, even when every socket's backlog is full.
constexpr milliseconds kLockPatience{5000};
constexpr milliseconds kConnectPatience{200};

// The directory's lock, for as long as the object lives.
class DirectoryLock {
 public:
  static Result<DirectoryLock> take(const std::string& directory) {
    // A description of its own: flock belongs to that, and threads of one process must exclude each other too.
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail("cannot open '{}': {}", directory, errno_text(errno));
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return fail("cannot lock '{}': {}", directory, errno_text(errno));
      if (std::chrono::steady_clock::now() > deadline) {
        return fail("cannot lock '{}': another process holds it; is a 'twofold' suspended?", directory);
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    return DirectoryLock(std::move(fd));
  }

 private:
  explicit DirectoryLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// Whether somebody listens at `path`. A full backlog is a sign of life.
struct Presence {
  bool alive = false;
  bool stale = false;
  pid_t pid = 0;
};

Presence look(const std::string& path, int type = SOCK_STREAM) {
  const UnixConnection connection = connect_unix(path, kConnectPatience, type);
  if (connection.fd) return {true, false, connection.peer_pid};
  // A file that is no socket refuses connections too, and is not ours to remove.
  struct stat about = {};
  const bool stale = connection.error == ECONNREFUSED && ::lstat(path.c_str(), &about) == 0 && S_ISSOCK(about.st_mode);
  return {connection.error == EAGAIN, stale, 0};
}

// The user's directory for runtime files, and what ours is called in it.
std::string default_directory() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/') return std::string(runtime) + "/twofold";
  const std::string run_user = fmt::format("/run/user/{}", ::getuid());
  if (::access(run_user.c_str(), W_OK) == 0) return run_user + "/twofold";
  return fmt::format("/tmp/twofold-{}", ::getuid());
}

std::string join(const std::vector<RegisteredVm>& vms) {
  std::string names;
  for (const RegisteredVm& vm : vms) names += (names.empty() ? "" : ", ") + vm.name;
  return names;
}

}  // namespace

Registration::Registration(std::string name, std::string socket_path, UniqueFd listener)
    : name_(std::move(name)), socket_path_(std::move(socket_path)), listener_(std::move(listener)) {}

Registration::Registration(Registration&& other) noexcept
    : name_(std::move(other.name_)),
      socket_path_(std::move(other.socket_path_)),
      listener_(std::move(other.listener_)) {}

Registration::~Registration() {
  if (!listener_) return;
  // Unlinked while we still listen: until then nobody can take the name, so it is our own socket that goes.
  ::unlink(socket_path_.c_str());
}

Result<Registry> Registry::open() {
  return open_at(default_directory());
}

Result<Registry> Registry::open_at(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail("cannot make the directory for control sockets '{}': {}; set XDG_RUNTIME_DIR to one that you may write",
                directory, errno_text(errno));
  }
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat about = {};
  if (!fd || ::fstat(fd.get(), &about) != 0) {
    return fail("cannot use '{}' for control sockets: {}", directory, errno_text(errno));
  }
  if (about.st_uid != ::geteuid()) {
    return fail("cannot use '{}' for control sockets: it belongs to user {}, not to {}", directory, about.st_uid,
                ::geteuid());
  }
  if ((about.st_mode & 077) != 0) {
    return fail("cannot use '{}' for control sockets: others may enter it (mode {:o}); chmod 700 it", directory,
                about.st_mode & 07777);
  }
  return Registry(directory);
}

Result<Registration> Registry::claim(std::string_view name) const {
  if (auto valid = check_vm_name(name); !valid) return pass_on(valid);
  const std::string path = fmt::format("{}/{}{}", path_, name, kSuffix);
  const auto lock = DirectoryLock::take(path_);
  if (!lock) return pass_on(lock);

  const Presence presence = look(path);
  if (presence.alive) {
    return fail("cannot name the VM '{}': a VM of that name runs already{}", name,
                presence.pid > 0 ? fmt::format(" (pid {})", presence.pid) : "");
  }
  if (presence.stale) ::unlink(path.c_str());
  auto listener = listen_unix(path);
  if (!listener) return pass_on(listener);
  return Registration(std::string(name), path, std::move(*listener));
}

Result<Registration> Registry::claim_at(std::string_view name, const std::string& path, int type) {
  std::error_code error;
  const auto parent = std::filesystem::canonical(std::filesystem::absolute(path).parent_path(), error);
  if (error) return fail("cannot make socket '{}': its directory: {}", path, error.message());
  const auto lock = DirectoryLock::take(parent);
  if (!lock) return pass_on(lock);
  const Presence presence = look(path, type);
  if (presence.alive) return fail("cannot make socket '{}': a process listens there already", path);
  if (presence.stale) ::unlink(path.c_str());
  auto listener = listen_unix(path, type);
  if (!listener) return pass_on(listener);
  return Registration(std::string(name), path, std::move(*listener));
}

Result<std::vector<RegisteredVm>> Registry::list() const {
  const auto lock = DirectoryLock::take(path_);
  if (!lock) return pass_on(lock);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path_.c_str()), ::closedir);
  if (!directory) return fail("cannot list '{}': {}", path_, errno_text(errno));

  std::vector<RegisteredVm> vms;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
  while (const dirent* entry = ::readdir(directory.get())) {
    std::string_view name = entry->d_name;
    if (!name.ends_with(kSuffix)) continue;
    name.remove_suffix(kSuffix.size());
    if (!check_vm_name(name)) continue;
    const std::string path = fmt::format("{}/{}", path_, entry->d_name);
    const Presence presence = look(path);
    if (presence.alive) vms.push_back({std::string(name), path, presence.pid});
    if (presence.stale) ::unlink(path.c_str());
  }
  std::sort(vms.begin(), vms.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return vms;
}

Result<RegisteredVm> Registry::find(std::string_view name) const {
  auto vms = list();
  if (!vms) return pass_on(vms);
  if (name.empty()) {
    if (vms->size() == 1) return vms->front();
    if (vms->empty()) return fail("no VM runs; start one with 'twofold run KERNEL'");
    return fail("which VM? running: {}", join(*vms));
  }
  for (RegisteredVm& vm : *vms) {
    if (vm.name == name) return std::move(vm);
  }
  return fail("no VM named '{}' runs{}", name, vms->empty() ? "" : fmt::format("; running: {}", join(*vms)));
}

Status check_vm_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  const bool valid = !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), allowed) &&
                     name.front() != '.' && name.front() != '-';
  if (valid) return {};
  return fail("'{}' cannot be a VM's name: use 1 to {} of A-Z a-z 0-9 . _ -, not starting with a dot or a dash",
              name.substr(0, kMaxName), kMaxName);
}

std::string default_vm_name(pid_t pid) {
  return fmt::format("vm-{}", pid);
}

}  // namespace twofold
