// The two address spaces that exits arrive on, port I/O and MMIO, as one class each with its devices.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "vmm/base/result.h"

namespace twofold {

// What a device shows to its bus: offsets only, so that no device knows where it sits. Called on vCPU threads, several
// at once: a device that has state guards it. `data` is the access itself: 1, 2, 4 or 8 bytes, little endian.
class BusDevice {
 public:
  virtual ~BusDevice() = default;
  virtual void read(uint64_t offset, std::span<std::byte> data) = 0;
  virtual void write(uint64_t offset, std::span<const std::byte> data) = 0;
};

// An interrupt line of the guest, as devices see it. Safe in any thread, never blocks: devices call it with their lock
// held.
class Interrupt {
 public:
  virtual ~Interrupt() = default;
  // One edge: the line goes up and comes down again.
  virtual void trigger() = 0;
};

// Routes accesses to devices by address. Devices are added before vCPUs run and never removed; after that every call is
// safe in any thread and takes no lock for an access that a device claims. An access that no device claims, or that
// crosses a device's end, reads as ones, is dropped when a write, is counted, and is logged the first time its address
// is met (the first kMaxLogged addresses, so that a guest cannot flood the log).
class Bus {
 public:
  static constexpr size_t kMaxLogged = 16;

  explicit Bus(std::string_view name) : name_(name) {}

  // Claims [base, base + length). The device stays the caller's and must outlive the bus. Fails if the range is empty,
  // wraps around, or overlaps another.
  Status add(uint64_t base, uint64_t length, std::string_view device_name, BusDevice& device);

  void read(uint64_t address, std::span<std::byte> data);
  void write(uint64_t address, std::span<const std::byte> data);

  // Accesses that no device claimed, since creation.
  [[nodiscard]] uint64_t unknown_accesses() const { return unknown_.load(std::memory_order_relaxed); }

 private:
  struct Claim {
    uint64_t length;
    std::string device_name;
    BusDevice* device;
  };
  using Entry = std::pair<const uint64_t, Claim>;

  // The claim that holds all of [address, address + length), or null.
  [[nodiscard]] const Entry* find(uint64_t address, size_t length) const;
  void count_unknown(uint64_t address, size_t length, const char* what);

  std::string name_;
  std::map<uint64_t, Claim> claims_;  // by base; immutable once vCPUs run
  std::atomic<uint64_t> unknown_{0};  // relaxed: a statistic, orders nothing
  std::mutex log_mutex_;
  std::set<uint64_t> logged_;  // guarded by log_mutex_; at most kMaxLogged
};

}  // namespace twofold
