#include "vmm/host/remote_membership.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "vmm/base/log.h"
#include "vmm/control/registry.h"
#include "vmm/control/unix_socket.h"

namespace twofold {

namespace {

using share::Header;
using share::Kind;

constexpr std::chrono::milliseconds kPatience{5000};

// The welcome and the two descriptors that come with it.
bool receive_welcome(int socket, share::Welcome& welcome, std::array<UniqueFd, 2>& fds) {
  iovec part = {&welcome, sizeof welcome};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
      rights->cmsg_len == CMSG_LEN(2 * sizeof(int))) {
    int numbers[2];
    std::memcpy(numbers, CMSG_DATA(rights), sizeof numbers);
    fds = {UniqueFd(numbers[0]), UniqueFd(numbers[1])};
  }
  return count == sizeof welcome && welcome.header.magic == share::kMagic &&
         welcome.header.version == share::kVersion && welcome.header.kind == Kind::kWelcome && fds[0] && fds[1];
}

}  // namespace

Result<std::unique_ptr<RemoteMembership>> RemoteMembership::join(const std::string& socket_path,
                                                                 const std::string& domain, uint64_t frames) {
  if (domain.size() >= share::kMaxName || !check_vm_name(domain)) {
    return fail(
        "'{}' cannot be a share domain's name: use 1 to {} of A-Z a-z 0-9 . _ -, not starting with a dot or a dash",
        domain, share::kMaxName - 1);
  }
  if (frames > share::kMaxFrames) return fail("a host service takes VMs of at most 64G");
  UnixConnection connection = connect_unix(socket_path, kPatience, SOCK_SEQPACKET);
  if (!connection.fd) {
    return fail("cannot join the host service at '{}': {}; start one with 'twofold host --socket {}'", socket_path,
                errno_text(connection.error), socket_path);
  }
  const timeval patience = {kPatience.count() / 1000, 0};
  const int socket = connection.fd.get();
  set_blocking(socket);
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);

  share::Hello hello;
  hello.frames = frames;
  domain.copy(hello.domain, share::kMaxName - 1);
  share::Welcome welcome;
  std::array<UniqueFd, 2> fds;
  if (::send(socket, &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello || !receive_welcome(socket, welcome, fds)) {
    return fail(
        "the host service at '{}' does not let this VM into domain '{}': it may be full, of another version, or "
        "another user's",
        socket_path, domain);
  }
  void* const view = ::mmap(nullptr, uint64_t{welcome.slots} * ksm::kPageBytes, PROT_READ, MAP_SHARED, fds[0].get(), 0);
  if (view == MAP_FAILED) return fail_host("cannot map the pool of domain '{}': {}", domain, errno_text(errno));
  return std::unique_ptr<RemoteMembership>(new RemoteMembership(
      std::move(connection.fd), std::move(fds[0]), std::move(fds[1]), static_cast<std::byte*>(view), welcome, frames));
}

RemoteMembership::RemoteMembership(UniqueFd socket, UniqueFd pool, UniqueFd staging, std::byte* view,
                                   const share::Welcome& welcome, uint64_t frames)
    : socket_(std::move(socket)),
      pool_(std::move(pool)),
      staging_(std::move(staging)),
      view_(view),
      key_(welcome.key),
      slots_(welcome.slots),
      frames_(frames),
      buffer_(share::kMaxMessage) {}

RemoteMembership::~RemoteMembership() {
  ::munmap(view_, uint64_t{slots_} * ksm::kPageBytes);
}

ksm::Page RemoteMembership::page(ksm::Slot slot) const {
  return ksm::Page(view_ + uint64_t{slot} * ksm::kPageBytes, ksm::kPageBytes);
}

void RemoteMembership::lose(const char* what) {
  if (connected_)
    spdlog::warn("merging with other VMs has ended: the host service {}; what is shared stays shared", what);
  connected_ = false;
  socket_.reset();  // the service proposes this VM's frames to nobody any more, and keeps what they share
}

bool RemoteMembership::send(const void* message, size_t bytes) {
  if (!connected_) return false;
  ssize_t count = 0;
  do {
    count = ::send(socket_.get(), message, bytes, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);  // SIGCONT, for one
  if (count == static_cast<ssize_t>(bytes)) return true;
  lose("has gone");
  return false;
}

void RemoteMembership::ask(const std::byte* memory, std::span<const ksm::Question> questions,
                           std::vector<ksm::Proposal>& proposals) {
  // At least once, for the notices.
  do {
    const auto batch = questions.first(std::min<size_t>(questions.size(), share::kMaxBatch));
    questions = questions.subspan(batch.size());
    wanted_.clear();
    if (!exchange(Kind::kAsk, batch, proposals, &wanted_)) return;
    for (size_t first = 0; first < wanted_.size(); first += share::kStagingPages) {
      const auto some =
          std::span(wanted_).subspan(first, std::min<size_t>(wanted_.size() - first, share::kStagingPages));
      for (size_t i = 0; i < some.size(); ++i) {
        const std::byte* const page = memory + some[i].frame * ksm::kPageBytes;
        const auto at = static_cast<off_t>(i * ksm::kPageBytes);
        if (::pwrite(staging_.get(), page, ksm::kPageBytes, at) != ksm::kPageBytes) return lose("has lost its file");
      }
      if (!exchange(Kind::kSupply, some, proposals, nullptr)) return;
    }
  } while (!questions.empty());
}

// Sends questions and takes the answer. Slots beyond the pool are a lie, and end it: mapping them would be a fault to
// touch.
bool RemoteMembership::exchange(Kind kind, std::span<const ksm::Question> questions,
                                std::vector<ksm::Proposal>& proposals, std::vector<ksm::Question>* wanted) {
  Header header;
  header.kind = kind;
  header.count = static_cast<uint32_t>(questions.size());
  std::memcpy(buffer_.data(), &header, sizeof header);
  if (!questions.empty()) std::memcpy(buffer_.data() + sizeof header, questions.data(), questions.size_bytes());
  if (!send(buffer_.data(), sizeof header + questions.size_bytes())) return false;

  ssize_t count = 0;
  do {
    count = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    lose(count == 0 ? "has gone" : "does not answer");
    return false;
  }
  const size_t bytes = static_cast<size_t>(count);
  if (bytes >= sizeof header) std::memcpy(&header, buffer_.data(), sizeof header);
  const size_t replies_bytes = size_t{header.count} * sizeof(share::Reply);
  const bool sound = bytes >= sizeof header && header.magic == share::kMagic && header.kind == Kind::kAnswer &&
                     header.count == questions.size() && header.notices <= share::kMaxBatch &&
                     bytes == sizeof header + replies_bytes + header.notices * sizeof(ksm::Proposal);
  if (!sound) {
    lose("says what makes no sense");
    return false;
  }
  const std::byte* at = buffer_.data() + sizeof header;
  for (const ksm::Question& question : questions) {
    share::Reply reply;
    std::memcpy(&reply, at, sizeof reply);
    at += sizeof reply;
    if (reply.slot < slots_) {
      proposals.push_back({question.frame, reply.slot});
    } else if (reply.wanted != 0 && wanted != nullptr) {
      wanted->push_back(question);
    }
  }
  for (uint32_t i = 0; i < header.notices; ++i, at += sizeof(ksm::Proposal)) {
    ksm::Proposal notice;
    std::memcpy(&notice, at, sizeof notice);
    if (notice.slot < slots_ && notice.frame < frames_) proposals.push_back(notice);
  }
  return true;
}

void RemoteMembership::give_back(std::span<const ksm::Slot> slots) {
  while (!slots.empty()) {
    const auto some = slots.first(std::min<size_t>(slots.size(), share::kMaxBatch));
    slots = slots.subspan(some.size());
    Header header;
    header.kind = Kind::kGiveBack;
    header.count = static_cast<uint32_t>(some.size());
    std::memcpy(buffer_.data(), &header, sizeof header);
    std::memcpy(buffer_.data() + sizeof header, some.data(), some.size_bytes());
    if (!send(buffer_.data(), sizeof header + some.size_bytes())) return;
  }
}

}  // namespace twofold
