#include <sys/resource.h>

#include <csignal>

#include "vmm/base/log.h"
#include "vmm/base/size.h"
#include "vmm/cli/commands.h"
#include "vmm/control/registry.h"
#include "vmm/host/share_service.h"
#include "vmm/machine/stop_signals.h"

namespace twofold::cli {

int host_command(const std::string& socket, const std::string& pool) {
  const auto bytes = parse_size(pool);
  if (!bytes) return complain(fmt::format("--pool: {}", bytes.error().message), kBadUsage);
  constexpr uint64_t kMostBytes = 64 * GiB;
  if (*bytes < MiB || *bytes > kMostBytes) return complain("--pool: from 1M to 64G", kBadUsage);
  std::signal(SIGPIPE, SIG_IGN);  // a reader of the log that goes away must not end the service
  rlimit descriptors{};           // three for each VM
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  auto signals = StopSignals::block();
  if (!signals) return complain(signals.error().message, kFailed);
  const auto registration = Registry::claim_at("host", socket, SOCK_SEQPACKET);
  if (!registration) return complain(registration.error().message, kFailed);

  ShareLimits limits;
  limits.slots = static_cast<uint32_t>(*bytes / ksm::kPageBytes);
  ShareService service(limits);
  spdlog::info("share domains for VMs at {}, of at most {} each", socket, format_size(*bytes));
  service.serve(registration->listener(), signals->fd());
  for (const auto& [name, domain] : service.stats().domains) {
    spdlog::info("domain '{}': {} pages for {} frames", name, domain.slots_filled, domain.users);
  }
  return kOk;
}

}  // namespace twofold::cli
