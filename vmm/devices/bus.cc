#include "vmm/devices/bus.h"

#include <algorithm>
#include <limits>

#include "vmm/base/log.h"

namespace twofold {

Status Bus::add(uint64_t base, uint64_t length, std::string_view device_name, BusDevice& device) {
  if (length == 0 || length - 1 > std::numeric_limits<uint64_t>::max() - base) {
    return fail("cannot put {} on the {} bus: {} bytes at {:#x} is not a range", device_name, name_, length, base);
  }
  const uint64_t last = base + (length - 1);
  const auto above = claims_.lower_bound(base);
  const auto below = above == claims_.begin() ? claims_.end() : std::prev(above);
  const bool hits_above = above != claims_.end() && above->first <= last;
  const bool hits_below = below != claims_.end() && base - below->first < below->second.length;
  if (hits_above || hits_below) {
    const auto& other = hits_above ? *above : *below;
    return fail("cannot put {} on the {} bus at {:#x}: {} is there already", device_name, name_, base,
                other.second.device_name);
  }
  claims_.emplace(base, Claim{length, std::string(device_name), &device});
  return {};
}

const Bus::Entry* Bus::find(uint64_t address, size_t length) const {
  const auto above = claims_.upper_bound(address);
  if (above == claims_.begin()) return nullptr;
  const Entry& entry = *std::prev(above);
  const uint64_t offset = address - entry.first;
  if (offset >= entry.second.length || length > entry.second.length - offset) return nullptr;
  return &entry;
}

void Bus::read(uint64_t address, std::span<std::byte> data) {
  if (const Entry* entry = find(address, data.size())) {
    entry->second.device->read(address - entry->first, data);
    return;
  }
  std::ranges::fill(data, std::byte{0xff});
  count_unknown(address, data.size(), "read of");
}

void Bus::write(uint64_t address, std::span<const std::byte> data) {
  if (const Entry* entry = find(address, data.size())) {
    entry->second.device->write(address - entry->first, data);
    return;
  }
  count_unknown(address, data.size(), "write to");
}

void Bus::count_unknown(uint64_t address, size_t length, const char* what) {
  unknown_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(log_mutex_);
  if (logged_.size() >= kMaxLogged || !logged_.insert(address).second) return;
  spdlog::info("{} bus: {} {:#x} ({} bytes), where there is no device{}", name_, what, address, length,
               logged_.size() == kMaxLogged ? "; further addresses are counted only" : "");
}

}  // namespace twofold
