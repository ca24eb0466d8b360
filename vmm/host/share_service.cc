#include "vmm/host/share_service.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "vmm/base/log.h"
#include "vmm/control/registry.h"

namespace twofold {

namespace {

using share::Header;
using share::Kind;

constexpr int kAcceptPauseMs = 50;

UniqueFd make_staging() {
  UniqueFd file(::memfd_create("share-staging", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool made = file && ::ftruncate(file.get(), share::kStagingPages * ksm::kPageBytes) == 0 &&
                    ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  return made ? std::move(file) : UniqueFd();
}

bool send_welcome(int socket, const share::Welcome& welcome, int pool, int staging) {
  iovec part = {const_cast<share::Welcome*>(&welcome), sizeof welcome};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int numbers[2] = {pool, staging};
  std::memcpy(CMSG_DATA(rights), numbers, sizeof numbers);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof welcome;
}

}  // namespace

// One VM.
class ShareService::Vm {
 public:
  Vm(ShareService& service, UniqueFd socket, UniqueFd process)
      : service_(service), socket_(std::move(socket)), process_(std::move(process)) {}
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] int process() const { return process_.get(); }  // readable when it has ended
  [[nodiscard]] bool holds_anything() const { return !held_.empty(); }

  // It is told nothing more, and its frames are proposed to nobody.
  void depart() {
    socket_.reset();
    if (domain_ == nullptr) return;
    domain_->leave(id_);
    for (const ksm::Proposal& notice : notices_) domain_->give_back({&notice.slot, 1});  // it has never heard of these
    notices_.clear();
  }

  // REQUIRES: its process has ended
  void release() {
    for (const auto& [slot, count] : held_) domain_->give_back({&slot, 1});
    held_.clear();
  }

  [[nodiscard]] const ksm::LocalDomain* domain() const { return domain_; }

  // Handles one message. False when the connection is to end: `broke` says whether it broke the protocol.
  bool on_message(bool* broke) {
    std::array<std::byte, share::kMaxMessage> message;
    const ssize_t count = ::recv(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (count <= 0) return false;
    *broke = static_cast<size_t>(count) > message.size() || !handle({message.data(), static_cast<size_t>(count)});
    return !*broke;
  }

 private:
  bool handle(std::span<const std::byte> message) {
    Header header;
    if (message.size() < sizeof header) return false;
    std::memcpy(&header, message.data(), sizeof header);
    if (header.magic != share::kMagic || header.version != share::kVersion) return false;
    if (domain_ == nullptr) return header.kind == Kind::kHello && on_hello(message);
    const auto body = message.subspan(sizeof header);
    switch (header.kind) {
      case Kind::kAsk:
        return header.count <= share::kMaxBatch && on_questions(body, header.count, false);
      case Kind::kSupply:
        return header.count <= share::kStagingPages && on_questions(body, header.count, true);
      case Kind::kGiveBack:
        return header.count <= share::kMaxBatch && on_give_back(body, header.count);
      default:
        return false;
    }
  }

  bool on_hello(std::span<const std::byte> message) {
    share::Hello hello;
    if (message.size() != sizeof hello) return false;
    std::memcpy(&hello, message.data(), sizeof hello);
    if (hello.frames == 0 || hello.frames > share::kMaxFrames || hello.domain[0] == 0) return false;
    if (std::memchr(hello.domain, 0, sizeof hello.domain) == nullptr || !check_vm_name(hello.domain)) return false;
    const auto domain = service_.domain(hello.domain);
    if (!domain) {
      spdlog::warn("{}", domain.error().message);
      return false;
    }
    staging_ = make_staging();
    if (!staging_) return false;
    frames_ = hello.frames;
    domain_ = *domain;
    id_ = domain_->enter();
    share::Welcome welcome;
    welcome.header.kind = Kind::kWelcome;
    welcome.key = domain_->key();
    welcome.slots = domain_->slots();
    return send_welcome(socket_.get(), welcome, domain_->pool(), staging_.get());
  }

  bool on_questions(std::span<const std::byte> body, uint32_t count, bool with_pages) {
    if (body.size() != count * sizeof(ksm::Question)) return false;
    std::vector<std::byte> answer(sizeof(Header));
    const auto append = [&answer](const auto& value) {
      const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
      answer.insert(answer.end(), bytes, bytes + sizeof value);
    };
    for (uint32_t i = 0; i < count; ++i) {
      ksm::Question question;
      std::memcpy(&question, body.data() + i * sizeof question, sizeof question);
      if (question.frame >= frames_) return false;
      share::Reply reply;
      if (with_pages) {
        reply.slot = supply(question, i);
      } else {
        const auto found = domain_->look_up(id_, question);
        reply.slot = found.slot;
        reply.wanted = found.verdict == ksm::LocalDomain::Verdict::kWanted ? 1 : 0;
      }
      if (reply.slot != ksm::kNoSlot && !hold(reply.slot)) reply.slot = ksm::kNoSlot;
      append(reply);
    }
    domain_->take_notices(id_, notices_);
    Header header;
    header.kind = Kind::kAnswer;
    header.count = count;
    header.notices = static_cast<uint32_t>(std::min<size_t>(notices_.size(), share::kMaxBatch));
    for (uint32_t i = 0; i < header.notices; ++i) {
      ksm::Proposal notice = notices_.back();
      notices_.pop_back();
      if (!hold(notice.slot)) notice.slot = ksm::kNoSlot;
      append(notice);
    }
    std::memcpy(answer.data(), &header, sizeof header);
    return ::send(socket_.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(answer.size());
  }

  // Enters a reference that came from the domain, which has no more than one for each slot of each VM: so that no VM
  // can drive a slot's count anywhere. False, with the reference given back, for a VM that has far more than it has
  // frames.
  bool hold(ksm::Slot slot) {
    if (held_total_ >= 4 * frames_ + share::kMaxBatch) {
      domain_->give_back({&slot, 1});
      return false;
    }
    ++held_total_;
    if (++held_[slot] > 1) domain_->give_back({&slot, 1});
    return true;
  }

  // A copy of our own before anything is done with it: the VM can write to the staging file at any time.
  ksm::Slot supply(ksm::Question question, uint32_t place) {
    std::array<std::byte, ksm::kPageBytes> page;
    const auto at = static_cast<off_t>(place * ksm::kPageBytes);
    if (::pread(staging_.get(), page.data(), page.size(), at) != static_cast<ssize_t>(page.size())) return ksm::kNoSlot;
    return domain_->supply(id_, question, page.data());
  }

  bool on_give_back(std::span<const std::byte> body, uint32_t count) {
    if (body.size() != count * sizeof(ksm::Slot)) return false;
    for (uint32_t i = 0; i < count; ++i) {
      ksm::Slot slot;
      std::memcpy(&slot, body.data() + i * sizeof slot, sizeof slot);
      const auto mine = held_.find(slot);
      if (mine == held_.end()) return false;  // it never had it: others' pages are at stake
      --held_total_;
      if (--mine->second > 0) continue;
      held_.erase(mine);
      domain_->give_back({&slot, 1});
    }
    return true;
  }

  ShareService& service_;
  UniqueFd socket_;
  UniqueFd process_;
  UniqueFd staging_;
  ksm::LocalDomain* domain_ = nullptr;  // null before its hello
  ksm::MemberId id_ = 0;
  uint64_t frames_ = 0;
  std::unordered_map<ksm::Slot, uint64_t> held_;  // by slot: references that it was given and has not given back
  uint64_t held_total_ = 0;
  std::vector<ksm::Proposal> notices_;  // with references, not told yet
};

ShareService::ShareService(ShareLimits limits) : limits_(limits) {}
ShareService::~ShareService() = default;

Result<ksm::LocalDomain*> ShareService::domain(const std::string& name) {
  const auto found = domains_.find(name);
  if (found != domains_.end()) return found->second.get();
  if (domains_.size() >= limits_.max_domains) return fail("no room for share domain '{}'", name);
  std::string error;
  auto made = ksm::LocalDomain::create(limits_.slots, &error);
  if (!made) return fail_host("{}", error);
  return (domains_[name] = std::move(made)).get();
}

void ShareService::accept(int listener) {
  UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client && (errno == EMFILE || errno == ENFILE)) ::poll(nullptr, 0, kAcceptPauseMs);  // it stays readable
  if (!client || vms_.size() + departed_.size() >= limits_.max_vms) return;
  ucred peer = {};
  socklen_t length = sizeof peer;
  if (::getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return;
  if (peer.uid != ::geteuid()) return;  // the socket's mode says so, too
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process) return;  // it has ended already
  vms_.push_back(std::make_unique<Vm>(*this, std::move(client), std::move(process)));
}

void ShareService::hear(std::unique_ptr<Vm>& vm) {
  bool broke = false;
  try {
    if (vm->on_message(&broke)) return;
  } catch (const std::exception& error) {  // no memory for it: its loss, and nobody else's
    spdlog::warn("a VM is cut off: {}", error.what());
    broke = true;
  }
  cut_off_ += broke ? 1 : 0;
  vm->depart();
  if (vm->holds_anything()) departed_.push_back(std::move(vm));
  vm.reset();
}

// A domain goes with the last that has anything to do with it.
void ShareService::drop_unused_domains() {
  std::erase_if(domains_, [this](const auto& entry) {
    const auto uses = [&](const auto& vm) { return vm && vm->domain() == entry.second.get(); };
    return std::none_of(vms_.begin(), vms_.end(), uses) && std::none_of(departed_.begin(), departed_.end(), uses);
  });
}

void ShareService::serve(int listener, int stop) {
  std::vector<pollfd> polled;
  for (;;) {
    polled.assign({{stop, POLLIN, 0}, {listener, POLLIN, 0}});
    for (const auto& vm : vms_) polled.push_back({vm->socket(), POLLIN, 0});
    for (const auto& vm : departed_) polled.push_back({vm->process(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      spdlog::error("VMs are served no longer: poll: {}", errno_text(errno));
      return;
    }
    if (polled[0].revents != 0) return;
    const auto of_vms = std::span(polled).subspan(2, vms_.size());
    const auto of_departed = std::span(polled).subspan(2 + vms_.size());
    for (size_t i = 0; i < of_departed.size(); ++i) {
      if ((of_departed[i].revents & POLLIN) == 0) continue;
      departed_[i]->release();
      departed_[i].reset();
    }
    for (size_t i = 0; i < of_vms.size(); ++i) {
      if (of_vms[i].revents != 0) hear(vms_[i]);
    }
    if (std::erase(vms_, nullptr) + std::erase(departed_, nullptr) > 0) drop_unused_domains();
    if (polled[1].revents != 0) accept(listener);
  }
}

ShareStats ShareService::stats() const {
  ShareStats stats{vms_.size(), cut_off_, {}};
  for (const auto& [name, domain] : domains_) stats.domains[name] = domain->stats();
  return stats;
}

}  // namespace twofold
