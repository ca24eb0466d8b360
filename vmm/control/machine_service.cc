#include "vmm/control/machine_service.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "vmm/memory/host_page.h"
#include "vmm/memory/resident.h"
#include "vmm/memory/walk.h"
#include "vmm/memory/walk_view.h"

namespace twofold {

namespace {

VmState vm_state(MachineState state) {
  switch (state) {
    case MachineState::kCreated:
      return VmState::kCreated;
    case MachineState::kRunning:
      return VmState::kRunning;
    case MachineState::kPaused:
      return VmState::kPaused;
    case MachineState::kStopped:
      return VmState::kStopped;
  }
  return VmState::kStopped;
}

}  // namespace

MachineService::MachineService(Machine& machine, std::string name, std::string kernel)
    : machine_(machine), name_(std::move(name)), kernel_(std::move(kernel)) {}

VmInfo MachineService::info() {
  VmInfo info;
  info.name = name_;
  info.pid = ::getpid();
  info.state = vm_state(machine_.state());
  info.cpus = machine_.cpus();
  info.memory_bytes = machine_.memory().bytes();
  info.resident_bytes = resident_memory(machine_.memory()).resident_bytes;
  info.kernel = kernel_;
  info.uptime_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - created_).count();
  if (const auto reason = machine_.reason()) info.exit_status = exit_status_of(*reason);
  info.unknown_ports = machine_.ports().unknown_accesses();
  info.unknown_mmio = machine_.mmio().unknown_accesses();
  return info;
}

Status MachineService::pause() {
  if (!machine_.pause())
    return fail("cannot pause '{}': it does not run, or a vCPU waits for the reader of its console", name_);
  return {};
}

Status MachineService::resume() {
  if (!machine_.resume()) return fail("cannot resume '{}': it does not run", name_);
  return {};
}

Status MachineService::stop() {
  machine_.stop({StopKind::kRequested, 0, "the control socket"});
  return {};
}

Result<Gpa> MachineService::inspect_table() const {
  const auto table = machine_.boot().inspect_table;
  if (!table) {
    return fail("cannot list processes of '{}': its kernel has no Twofold note that tells where they are; give a CR3",
                name_);
  }
  return *table;
}

Result<GuestProcess> MachineService::find(const WalkRequest& request) const {
  const auto table = inspect_table();
  if (!table) return pass_on(table);
  const std::string who = request.pid ? std::to_string(*request.pid) : *request.process;
  return find_process(machine_.memory(), *table, who);
}

Result<nlohmann::json> MachineService::walk(const WalkRequest& request) {
  const uint32_t index = request.vcpu.value_or(0);
  Result<nlohmann::json> answer =
      fail("cannot walk in '{}': it has no vCPU {}, does not run, or a vCPU waits for the reader of its console", name_,
           index);
  // With every vCPU out of the guest, so that the tables and the process list hold still for the walk.
  machine_.with_stopped_vcpu(index, [&](const Vcpu& vcpu) {
    const auto sregs = vcpu.sregs();
    if (!sregs) {
      answer = pass_on(sregs);
      return;
    }
    PagingState paging{sregs->cr0, sregs->cr3, sregs->cr4, sregs->efer};
    if (request.cr3) paging.cr3 = *request.cr3;
    nlohmann::json process;
    if (request.pid || request.process) {
      const auto found = find(request);
      if (!found) {
        answer = pass_on(found);
        return;
      }
      paging.cr3 = found->cr3;
      process = {{"pid", found->pid}, {"name", found->name}};
    }
    answer = walk_to_json(walk_two_dimensions(machine_.memory(), ProcPagemap(), paging, request.gva));
    (*answer)["vm"] = name_;
    if (!process.is_null()) (*answer)["process"] = process;
  });
  return answer;
}

Result<BalloonInfo> MachineService::balloon() {
  const Balloon* const balloon = machine_.balloon();
  if (balloon == nullptr) return fail("'{}' has no balloon: it was started with --balloon off", name_);
  const BalloonStatus status = balloon->status();
  const auto since = [now = std::chrono::steady_clock::now()](std::chrono::steady_clock::time_point then) {
    return std::chrono::duration<double>(now - then).count();
  };
  BalloonInfo info;
  info.target_bytes = status.target_bytes;
  info.actual_bytes = status.actual_bytes;
  info.most_bytes = machine_.memory().bytes();
  info.driver_ready = status.driver_ready;
  info.seconds_since_progress = since(status.last_progress);
  if (status.stats_time) info.seconds_since_statistics = since(*status.stats_time);
  for (uint16_t tag = 0; tag < BalloonStats::kTags; ++tag) {
    if (const auto value = status.stats.value(tag)) info.statistics.emplace_back(BalloonStats::name(tag), *value);
  }
  info.inflate_requests = status.inflate_requests;
  info.deflate_requests = status.deflate_requests;
  info.report_requests = status.report_requests;
  info.bad_frames = status.bad_frames;
  return info;
}

Status MachineService::set_balloon_target(uint64_t bytes) {
  Balloon* const balloon = machine_.balloon();
  if (balloon == nullptr) return fail("'{}' has no balloon: it was started with --balloon off", name_);
  balloon->set_target(bytes);
  return {};
}

MemoryInfo MachineService::memory() {
  const ResidentMemory resident = resident_memory(machine_.memory());
  const ReclaimStats reclaim = machine_.reclaim().stats();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  MemoryInfo info;
  info.promised_bytes = machine_.memory().bytes();
  info.resident_bytes = resident.resident_bytes;
  info.huge_bytes = resident.huge_bytes;
  info.swapped_bytes = resident.swapped_bytes;
  info.ballooned_bytes = reclaim.ballooned_bytes;
  info.inflated_bytes = reclaim.inflated_bytes;
  info.deflated_bytes = reclaim.deflated_bytes;
  info.reported_bytes = reclaim.reported_bytes;
  info.discard_calls = reclaim.discard_calls;
  info.minor_faults = static_cast<uint64_t>(usage.ru_minflt);
  info.major_faults = static_cast<uint64_t>(usage.ru_majflt);
  return info;
}

Result<MergingInfo> MachineService::merging() {
  const Merging* const merging = machine_.merging();
  if (merging == nullptr) return fail("'{}' merges no pages: it was started without --merge on", name_);
  const MergeStatus status = merging->status();
  MergingInfo info;
  info.on = status.on;
  info.counts = {
      {"shared_bytes", status.shared_bytes},
      {"address_space_areas", status.areas},
      {"passes_total", status.scan.passes},
      {"frames_hashed_total", status.scan.hashed},
      {"frames_asked_total", status.scan.asked},
      {"frames_passed_over_total", status.scan.changing},
      {"frames_merged_total", status.merge.merged},
      {"zero_frames_dropped_total", status.merge.zeros},
      {"frames_mismatched_total", status.merge.mismatched},
      {"frames_refused_total", status.merge.refused},
      {"merge_calls_total", status.merge.merge_calls},
      {"cow_breaks_total", status.scan.broken},
      {"slots_torn_total", status.slots_torn},
  };
  // Where others have a part in the pool, what this VM saves is not its own to tell.
  if (status.own_domain) {
    info.counts.emplace_back("pool_bytes", status.pool_bytes);
    info.counts.emplace_back("saved_bytes", status.shared_bytes - std::min(status.shared_bytes, status.pool_bytes));
  }
  info.cpu_seconds = status.cpu_seconds;
  info.wait_seconds = static_cast<double>(status.merge.wait_nanoseconds) * 1e-9;
  info.waits.assign(status.merge.waits.begin(), status.merge.waits.end());
  return info;
}

Status MachineService::set_merging(bool on) {
  Merging* const merging = machine_.merging();
  if (merging == nullptr) return fail("'{}' merges no pages: it was started without --merge on", name_);
  merging->set_on(on);
  return {};
}

Result<nlohmann::json> MachineService::processes() {
  const auto table = inspect_table();
  if (!table) return pass_on(table);
  const auto found = list_processes(machine_.memory(), *table);
  if (!found) return pass_on(found);
  auto list = nlohmann::json::array();
  for (const auto& process : *found) {
    list.push_back({{"pid", process.pid}, {"name", process.name}, {"cr3", fmt::format("{:#x}", process.cr3)}});
  }
  return list;
}

}  // namespace twofold
