// A VM's place in a share domain of the host service.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "ksm/membership.h"
#include "vmm/base/fd.h"
#include "vmm/base/result.h"
#include "vmm/host/share_protocol.h"

namespace twofold {

// Thread safety: one thread, but for connected().
//
// When the service has gone, or does not answer, nothing more is asked or given back; what is shared stays so, on this
// process's own descriptor of the pool. REQUIRES: the process does not fork while it shares: the service goes by its
// end.
class RemoteMembership final : public ksm::Membership {
 public:
  // Joins `domain` of the service at `socket_path`, for a memory of so many frames. Errors: nobody listens there, or it
  // refuses.
  static Result<std::unique_ptr<RemoteMembership>> join(const std::string& socket_path, const std::string& domain,
                                                        uint64_t frames);
  ~RemoteMembership() override;
  RemoteMembership(const RemoteMembership&) = delete;
  RemoteMembership& operator=(const RemoteMembership&) = delete;

  [[nodiscard]] uint64_t key() const override { return key_; }
  [[nodiscard]] int pool() const override { return pool_.get(); }
  [[nodiscard]] ksm::Page page(ksm::Slot slot) const override;
  void ask(const std::byte* memory, std::span<const ksm::Question> questions,
           std::vector<ksm::Proposal>& proposals) override;
  void give_back(std::span<const ksm::Slot> slots) override;

  [[nodiscard]] bool connected() const { return connected_; }

 private:
  RemoteMembership(UniqueFd socket, UniqueFd pool, UniqueFd staging, std::byte* view, const share::Welcome& welcome,
                   uint64_t frames);
  bool exchange(share::Kind kind, std::span<const ksm::Question> questions, std::vector<ksm::Proposal>& proposals,
                std::vector<ksm::Question>* wanted);
  bool send(const void* message, size_t bytes);
  void lose(const char* what);

  UniqueFd socket_;
  UniqueFd pool_;
  UniqueFd staging_;
  std::byte* view_;  // all slots, read-only
  uint64_t key_;
  uint32_t slots_;
  uint64_t frames_;
  std::atomic<bool> connected_ = true;
  std::vector<std::byte> buffer_;
  std::vector<ksm::Question> wanted_;
};

}  // namespace twofold
