// A VM without KVM, and a directory that goes away again.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "vmm/control/vm_service.h"

namespace twofold::testing {

// Records what it is asked. Safe in several threads.
class FakeVm final : public VmService {
 public:
  VmInfo info() override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("info");
    VmInfo info;
    info.name = "fake";
    info.pid = 42;
    info.state = state_;
    info.cpus = 2;
    info.memory_bytes = 64 << 20;
    info.resident_bytes = 3 << 20;
    info.kernel = kernel;
    info.uptime_seconds = 1.5;
    return info;
  }
  Status pause() override { return change("pause", VmState::kPaused); }
  Status resume() override { return change("resume", VmState::kRunning); }
  Status stop() override { return change("stop", VmState::kStopped); }

  Result<nlohmann::json> walk(const WalkRequest& request) override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("walk");
    walked_ = request;
    if (!refusal.empty()) return fail("{}", refusal);
    return nlohmann::json{{"gva", request.gva.value}};
  }
  Result<nlohmann::json> processes() override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("processes");
    if (!refusal.empty()) return fail("{}", refusal);
    return nlohmann::json::array({{{"pid", 1}, {"name", process_name}}});
  }

  Result<BalloonInfo> balloon() override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("balloon");
    if (!has_balloon) return fail("'fake' has no balloon");
    BalloonInfo info;
    info.target_bytes = target_;
    info.actual_bytes = 4096;
    info.most_bytes = 64 << 20;
    info.driver_ready = true;
    info.seconds_since_progress = 0.5;
    info.seconds_since_statistics = 0.25;
    info.statistics = {{"free_bytes", 1 << 20}, {"major_faults", 7}};
    return info;
  }
  Status set_balloon_target(uint64_t bytes) override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("set_balloon_target");
    if (!has_balloon) return fail("'fake' has no balloon");
    changes_.push_back("balloon " + std::to_string(bytes));
    target_ = bytes;
    return {};
  }
  Result<MergingInfo> merging() override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("merging");
    if (!merges) return fail("'fake' merges no pages");
    MergingInfo info;
    info.on = merging_;
    info.counts = {{"shared_bytes", 8 << 20}, {"cow_breaks_total", 7}};
    info.cpu_seconds = 0.5;
    info.wait_seconds = 0.25;
    info.waits = {1, 0, 2, 0};
    return info;
  }
  Status set_merging(bool on) override {
    const std::scoped_lock lock(mutex_);
    if (!merges) return fail("'fake' merges no pages");
    changes_.push_back(on ? "merging on" : "merging off");
    merging_ = on;
    return {};
  }
  MemoryInfo memory() override {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back("memory");
    MemoryInfo info;
    info.promised_bytes = 64 << 20;
    info.resident_bytes = 3 << 20;
    info.ballooned_bytes = 8192;
    return info;
  }

  // What changed the VM, in order: "pause", "resume", "stop".
  std::vector<std::string> changes() {
    const std::scoped_lock lock(mutex_);
    return changes_;
  }
  std::vector<std::string> calls() {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }
  WalkRequest walked() {
    const std::scoped_lock lock(mutex_);
    return walked_;
  }

  // Set before anybody asks.
  std::string refusal;
  bool merges = true;
  bool has_balloon = true;
  std::string kernel = "kernel.elf";
  std::string process_name = "init";
  std::chrono::milliseconds slowness{0};

 private:
  Status change(const char* what, VmState state) {
    std::this_thread::sleep_for(slowness);
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back(what);
    if (!refusal.empty()) return fail("{}", refusal);
    changes_.emplace_back(what);
    state_ = state;
    return {};
  }

  std::mutex mutex_;  // guards all below
  VmState state_ = VmState::kRunning;
  bool merging_ = true;
  uint64_t target_ = 0;
  std::vector<std::string> calls_;
  std::vector<std::string> changes_;
  WalkRequest walked_;
};

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "twofold-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace twofold::testing
