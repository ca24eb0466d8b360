// A running Machine behind the face that the control server talks to.
#pragma once

#include <chrono>
#include <string>

#include "vmm/control/vm_service.h"
#include "vmm/machine/machine.h"
#include "vmm/memory/inspect.h"

namespace twofold {

// For the control server's thread. The machine outlives it.
class MachineService final : public VmService {
 public:
  MachineService(Machine& machine, std::string name, std::string kernel);

  [[nodiscard]] VmInfo info() override;
  [[nodiscard]] Status pause() override;
  [[nodiscard]] Status resume() override;
  [[nodiscard]] Status stop() override;
  [[nodiscard]] Result<nlohmann::json> walk(const WalkRequest& request) override;
  [[nodiscard]] Result<nlohmann::json> processes() override;
  [[nodiscard]] Result<BalloonInfo> balloon() override;
  [[nodiscard]] Status set_balloon_target(uint64_t bytes) override;
  [[nodiscard]] MemoryInfo memory() override;
  [[nodiscard]] Result<MergingInfo> merging() override;
  [[nodiscard]] Status set_merging(bool on) override;

 private:
  // Where our own guest keeps its process list; an error for every other guest.
  [[nodiscard]] Result<Gpa> inspect_table() const;
  [[nodiscard]] Result<GuestProcess> find(const WalkRequest& request) const;

  Machine& machine_;
  std::string name_;
  std::string kernel_;
  std::chrono::steady_clock::time_point created_ = std::chrono::steady_clock::now();
};

}  // namespace twofold
