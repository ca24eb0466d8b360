// The other end of the control socket: what `twofold ps`, `walk` and the others ask a running VM.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "vmm/base/result.h"
#include "vmm/control/registry.h"
#include "vmm/control/vm_service.h"

namespace twofold {

// One VM to talk to; a connection a call. Errors name the VM or, where it refused, are its own words.
class VmClient {
 public:
  // `patience` bounds a whole call.
  explicit VmClient(RegisteredVm vm, std::chrono::milliseconds patience = std::chrono::seconds(10))
      : vm_(std::move(vm)), patience_(patience) {}

  [[nodiscard]] Result<nlohmann::json> info() const;
  // `state`: "paused", "running" or "stopped". The answer is what info() gives.
  [[nodiscard]] Result<nlohmann::json> set_state(std::string_view state) const;
  [[nodiscard]] Result<nlohmann::json> walk(const WalkRequest& request) const;
  [[nodiscard]] Result<nlohmann::json> processes() const;
  [[nodiscard]] Result<nlohmann::json> balloon() const;
  // The answer is what balloon() gives.
  [[nodiscard]] Result<nlohmann::json> set_balloon(uint64_t target_bytes) const;
  [[nodiscard]] Result<nlohmann::json> memory() const;
  [[nodiscard]] Result<nlohmann::json> merging() const;
  // The answer is what merging() gives.
  [[nodiscard]] Result<nlohmann::json> set_merging(bool on) const;

 private:
  [[nodiscard]] Result<nlohmann::json> call(std::string_view method, std::string_view target,
                                            std::string_view body) const;
  [[nodiscard]] Result<std::string> exchange(std::string_view request) const;

  RegisteredVm vm_;
  std::chrono::milliseconds patience_;
};

// The address that asks for this walk: "/vm/walk?gva=0x5123&pid=2".
[[nodiscard]] std::string walk_target(const WalkRequest& request);

}  // namespace twofold
