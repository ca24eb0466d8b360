// A memory that is merged, on its own: what the tests and benchmarks of the merge library share.
#pragma once

#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "ksm/local_domain.h"
#include "ksm/scanner.h"

namespace ksm::testing {

// Anonymous memory, private, as a VMM gives it to a guest; on a boundary of huge pages.
class Memory {
 public:
  static constexpr size_t kHuge = 2 << 20;
  enum class Huge : uint8_t { kNo, kYes };

  explicit Memory(uint64_t frames, Huge huge = Huge::kNo) : bytes_(frames * kPageBytes) {
    raw_ = ::mmap(nullptr, bytes_ + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw_ == MAP_FAILED) throw std::runtime_error("mmap failed");
    const auto address = reinterpret_cast<uint64_t>(raw_);
    begin_ = reinterpret_cast<std::byte*>((address + kHuge - 1) / kHuge * kHuge);
    (void)::madvise(begin_, bytes_, huge == Huge::kYes ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::munmap(raw_, bytes_ + kHuge); }

  [[nodiscard]] std::byte* begin() const { return begin_; }
  [[nodiscard]] std::byte* at(uint64_t frame) const { return begin_ + frame * kPageBytes; }
  [[nodiscard]] uint64_t frames() const { return bytes_ / kPageBytes; }

 private:
  size_t bytes_;
  void* raw_ = nullptr;
  std::byte* begin_ = nullptr;
};

// A page of its own for each number; 0 is the page of zeros.
inline void fill_page(std::byte* page, uint64_t number) {
  uint64_t words[kPageBytes / 8];
  for (uint64_t i = 0; i < kPageBytes / 8; ++i) words[i] = number == 0 ? 0 : number * 0x9e3779b97f4a7c15 + i;
  std::memcpy(page, words, sizeof words);
}
inline bool holds_page(const std::byte* page, uint64_t number) {
  std::byte expected[kPageBytes];
  fill_page(expected, number);
  return std::memcmp(page, expected, kPageBytes) == 0;
}

// One memory in a domain, with all that merges it. The domain outlives it.
class MergedMemory {
 public:
  // Throws what the host refuses; see why_not().
  MergedMemory(LocalDomain& domain, uint64_t frames, ScanConfig config = {}, Memory::Huge huge = Memory::Huge::kNo,
               WriteProtection protection = WriteProtection::kOn, AreaBudget budget = AreaBudget::of_this_process())
      : MergedMemory(domain.join(), frames, config, huge, protection, budget) {}
  MergedMemory(std::unique_ptr<Membership> membership, uint64_t frames, ScanConfig config = {},
               Memory::Huge huge = Memory::Huge::kNo, WriteProtection protection = WriteProtection::kOn,
               AreaBudget budget = AreaBudget::of_this_process())
      : memory_(frames, huge), mapping_(memory_.begin(), frames), membership_(std::move(membership)) {
    std::string error;
    if (!mapping_.start_merging(&error)) throw std::runtime_error(error);
    auto scan = PageScan::open(&error);
    if (!scan) throw std::runtime_error(error);
    merger_.emplace(mapping_, *membership_, budget, protection);
    scanner_.emplace(mapping_, *membership_, *merger_, std::move(*scan), config);
  }
  ~MergedMemory() { give_all_back(); }

  // Empty if this host lets a process merge.
  static std::string why_not() {
    std::string error;
    (void)(WriteGuard::open(&error) && PageScan::open(&error));
    return error;
  }

  [[nodiscard]] std::byte* at(uint64_t frame) const { return memory_.at(frame); }
  [[nodiscard]] Mapping& mapping() { return mapping_; }
  [[nodiscard]] Scanner& scanner() { return *scanner_; }
  [[nodiscard]] const MergeStats& stats() const { return merger_->stats(); }

  void pass() {
    while (!scanner_->step(UINT64_MAX).pass_ended) {
    }
  }
  void discard(Run run) {
    const std::lock_guard lock(mapping_.mutex());
    (void)mapping_.discard(run);
    mapping_.settle_or_arrange();
  }
  [[nodiscard]] Slot held_slot(uint64_t frame) {
    const std::lock_guard lock(mapping_.mutex());
    return mapping_.held_slot(frame);
  }

 private:
  void give_all_back() {
    std::vector<Slot> slots;
    discard({0, memory_.frames()});
    const std::lock_guard lock(mapping_.mutex());
    mapping_.take_dropped(slots);
    membership_->give_back(slots);
  }

  Memory memory_;
  Mapping mapping_;
  std::unique_ptr<Membership> membership_;
  std::optional<Merger> merger_;
  std::optional<Scanner> scanner_;
};

}  // namespace ksm::testing
