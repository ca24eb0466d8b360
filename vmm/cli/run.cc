#include "vmm/cli/run.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "vmm/cli/stats_file.h"
#include "vmm/control/machine_service.h"
#include "vmm/control/registry.h"
#include "vmm/control/server.h"
#include "vmm/host/remote_membership.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/stop_signals.h"

namespace twofold::cli {

namespace {

MachineConfig machine_config(const RunOptions& options) {
  MachineConfig config;
  config.kernel = options.kernel;
  if (!options.initrd.empty()) config.initrd = options.initrd;
  config.cmdline = options.append;
  config.memory_bytes = options.memory_bytes;
  config.cpus = options.cpus;
  for (const auto& disk : options.disks) config.disks.push_back({disk.path, disk.read_only});
  if (options.balloon.on) {
    config.balloon = BalloonConfig{options.balloon.deflate_on_oom, options.balloon.free_page_reporting};
  }
  switch (options.console.kind) {
    case ConsoleKind::kStdio:
      config.console.kind = ConsoleTarget::Kind::kStdio;
      break;
    case ConsoleKind::kFile:
      config.console = {ConsoleTarget::Kind::kFile, options.console.path};
      break;
    case ConsoleKind::kNone:
      config.console.kind = ConsoleTarget::Kind::kNone;
      break;
  }
  if (options.merge.on) {
    config.merge = MergeConfig{options.merge.frames_per_second, options.merge.cpu_per_cent,
                               options.merge.random_order ? ksm::Order::kRandom : ksm::Order::kAscending, nullptr};
  }
  return config;
}

int report(const Error& error) {
  spdlog::error("{}{}", error.message, error.host ? "; 'twofold doctor' tells what this host can do" : "");
  return error.host ? exit_status::kHostCannot : exit_status::kBadInput;
}

// A place for the statistics that cannot be written to is bad input, and is found before the guest runs.
Status check_writable(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644));
  if (!file) return fail("cannot write statistics to '{}': {}", path, errno_text(errno));
  return {};
}

// Serves the guest until it ends. The control server is gone before the machine is.
Result<StopReason> serve(Machine& machine, const RunOptions& options, const std::string& name) {
  auto registry = Registry::open();
  if (!registry) return pass_on(registry);
  auto registration = registry->claim(name);
  if (!registration) return pass_on(registration);
  std::vector<Registration> registrations;
  registrations.push_back(std::move(*registration));
  if (!options.api.empty()) {
    auto second = Registry::claim_at(name, options.api);
    if (!second) return pass_on(second);
    registrations.push_back(std::move(*second));
  }
  MachineService service(machine, name, options.kernel);
  auto server = ControlServer::start(std::move(registrations), service);
  if (!server) return pass_on(server);
  return machine.run();
}

}  // namespace

int run_command(const RunOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader of the console or of the log that goes away must not end the guest
  // First of all, so that no thread and no moment exists in which these signals would leave a terminal raw.
  auto signals = StopSignals::block();
  if (!signals) return report(signals.error());
  const std::string name = options.name.empty() ? default_vm_name(::getpid()) : options.name;
  if (auto valid = check_vm_name(name); !valid) return report(valid.error());

  if (!options.stats.empty()) {
    if (auto writable = check_writable(options.stats); !writable) return report(writable.error());
  }
  const auto kvm = Kvm::open();
  if (!kvm) return report(kvm.error());
  MachineConfig config = machine_config(options);
  if (!options.merge.host.empty()) {
    auto membership =
        RemoteMembership::join(options.merge.host, options.merge.domain, options.memory_bytes / kPageSize);
    if (!membership) return report(membership.error());
    config.merge->membership = std::move(*membership);
  }
  auto machine = Machine::create(*kvm, config);
  if (!machine) return report(machine.error());
  Machine& vm = **machine;
  const auto watched = vm.loop().add(signals->fd(), EPOLLIN, [&](uint32_t) {
    vm.stop({StopKind::kRequested, 0, signals->take()});
  });
  if (!watched) return report(watched.error());

  const auto reason = serve(vm, options, name);
  if (!reason) return report(reason.error());
  vm.loop().remove(signals->fd());
  signals->restore();  // a reader of the console that never reads must not make us unkillable
  vm.flush_console();
  if (!options.stats.empty()) {
    // The guest's verdict is worth more than its statistics.
    if (auto written = write_stats(options.stats, vm, *reason); !written) spdlog::error("{}", written.error().message);
  }
  if (reason->kind == StopKind::kRequested) spdlog::info("{}", describe(*reason));
  return exit_status_of(*reason);
}

}  // namespace twofold::cli
