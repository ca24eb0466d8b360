// The host service's one job so far: share domains for VMs of other processes.
//
// Each VM is a connection. What it says is checked, copied and hashed before it is believed; what it gets is a
// descriptor that can only be mapped privately.
//
// A reference ends when the VM gives it back, or when its process has ended (pidfd). Not when its connection does:
// whoever is cut off, rightly or by a mistake of ours, still maps what it shares, and a slot punched under it would
// show zeros there. For the same reason a service that ends punches nothing; the VMs' mappings keep what they need of
// its pools.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ksm/local_domain.h"
#include "vmm/base/fd.h"
#include "vmm/base/result.h"
#include "vmm/host/share_protocol.h"

namespace twofold {

struct ShareLimits {
  size_t max_vms = 256;
  size_t max_domains = 64;
  uint32_t slots = 1 << 20;  // of each domain's pool
};

struct ShareStats {
  size_t vms = 0;
  uint64_t cut_off = 0;  // VMs that broke the protocol, ever
  std::map<std::string, ksm::DomainStats> domains;
};

// For one thread.
class ShareService {
 public:
  explicit ShareService(ShareLimits limits);
  ~ShareService();
  ShareService(const ShareService&) = delete;
  ShareService& operator=(const ShareService&) = delete;

  // Serves VMs that connect to `listener` (a non-blocking SOCK_SEQPACKET socket) until `stop` is readable.
  void serve(int listener, int stop);

  [[nodiscard]] ShareStats stats() const;

 private:
  class Vm;

  void accept(int listener);
  void hear(std::unique_ptr<Vm>& vm);
  void drop_unused_domains();
  Result<ksm::LocalDomain*> domain(const std::string& name);

  const ShareLimits limits_;
  std::map<std::string, std::unique_ptr<ksm::LocalDomain>> domains_;  // outlive the VMs
  std::vector<std::unique_ptr<Vm>> vms_;                              // connected
  std::vector<std::unique_ptr<Vm>> departed_;  // not any more, but their processes may still map what they share
  uint64_t cut_off_ = 0;
};

}  // namespace twofold
