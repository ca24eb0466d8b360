#include "vmm/cli/stats_file.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "vmm/virtio/blk.h"

namespace twofold::cli {

namespace {

uint64_t value(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

nlohmann::json vcpu_stats(const VcpuThread& vcpu) {
  const ExitCounts& exits = vcpu.exits();
  return {{"exits_port_io", value(exits.port_io)},
          {"exits_mmio", value(exits.mmio)},
          {"exits_interrupted", value(exits.interrupted)},
          {"exits_other", value(exits.other)}};
}

nlohmann::json virtio_stats(const VirtioSlot& slot) {
  const VirtioStats stats = slot.transport().stats();
  nlohmann::json json = {{"name", std::string(slot.device().name())},
                         {"notifications", stats.notifications},
                         {"interrupts", stats.interrupts},
                         {"driver_errors", stats.driver_errors},
                         {"broken_queues", stats.broken_queues}};
  if (const auto* disk = dynamic_cast<const VirtioBlk*>(&slot.device()); disk != nullptr) {
    const BlkStats blk = disk->stats();
    json["reads"] = blk.reads;
    json["writes"] = blk.writes;
    json["flushes"] = blk.flushes;
    json["read_bytes"] = blk.read_bytes;
    json["written_bytes"] = blk.written_bytes;
    json["failures"] = blk.failures;
  }
  return json;
}

}  // namespace

Status write_stats(const std::string& path, const Machine& machine, const StopReason& reason) {
  nlohmann::json json = {{"exit_status", exit_status_of(reason)},
                         {"ended", describe(reason)},
                         {"memory_bytes", machine.memory().bytes()},
                         {"unknown_ports", machine.ports().unknown_accesses()},
                         {"unknown_mmio", machine.mmio().unknown_accesses()},
                         {"console_bytes_out", machine.uart().bytes_out()},
                         {"console_bytes_in", machine.uart().bytes_in()}};
  for (uint32_t i = 0; i < machine.cpus(); ++i) json["vcpus"].push_back(vcpu_stats(machine.vcpu(i)));
  json["disks"] = nlohmann::json::array();
  for (const auto& slot : machine.virtio()) json["disks"].push_back(virtio_stats(*slot));

  errno = 0;
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  if (!file.flush()) return fail("cannot write statistics to '{}': {}", path, errno_text(errno));
  return {};
}

}  // namespace twofold::cli
