#include "balloon-driver/driver.h"

namespace balloon {
namespace {

uint32_t smaller(uint32_t left, uint32_t right) {
  return left < right ? left : right;
}

void put_little_endian(uint8_t* to, uint64_t value, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace

Driver::Batch* Driver::take_batch(bool for_deflate) {
  uint32_t kept = for_deflate ? 0 : kKeptForDeflate;
  for (Batch& batch : batches_) {
    if (batch.use != Use::kFree) continue;
    if (kept-- > 0) continue;
    batch.pages.clear();
    batch.use = Use::kFilling;
    return &batch;
  }
  return nullptr;
}

Driver::Progress Driver::work() {
  const Progress progress = step();
  if (progress != Progress::kMore || unannounced_[0] + unannounced_[1] >= kBatchesPerAnnouncement) announce();
  return progress;
}

Driver::Progress Driver::step() {
  const uint32_t target = transport_.target(transport_.context);
  const uint32_t size = held_ - deflating_ + inflating_;  // when all that is in flight is answered
  if (size < target) return resting_ ? Progress::kStarved : inflate(target - size);
  if (size > target) return deflate(size - target);
  return inflating_ + deflating_ > 0 ? Progress::kWaiting : Progress::kDone;
}

Driver::Progress Driver::inflate(uint32_t wanted) {
  Batch* const batch = take_batch(false);
  if (batch == nullptr) return Progress::kWaiting;
  bool starved = false;
  for (uint32_t i = smaller(wanted, kMaxPfnsPerRequest); i > 0 && !starved && !resting_; --i) {
    uint32_t pfn;
    starved = !kernel_.take_page(kernel_.context, &pfn);  // the lock may have been free meanwhile
    if (!starved) (void)batch->pages.add(pfn);
  }
  if (batch->pages.count() == 0) {
    batch->use = Use::kFree;
    return Progress::kStarved;
  }
  if (resting_ || !send(*batch, Use::kInflating, Queue::kInflate)) {
    undo(*batch);  // somebody needs them more, or the queue is full
    return Progress::kStarved;
  }
  return starved ? Progress::kStarved : Progress::kMore;
}

Driver::Progress Driver::deflate(uint32_t wanted) {
  Batch* const batch = take_batch(true);
  if (batch == nullptr) return Progress::kWaiting;
  uint32_t pfn;
  while (!batch->pages.full() && batch->pages.count() < wanted && kernel_.unhold(kernel_.context, &pfn)) {
    (void)batch->pages.add(pfn);
  }
  if (batch->pages.count() == 0) {
    batch->use = Use::kFree;
    return Progress::kWaiting;  // all that is left is on its way in
  }
  if (send(*batch, Use::kDeflating, Queue::kDeflate)) return Progress::kMore;
  for (size_t i = 0; i < batch->pages.count(); ++i) kernel_.hold(kernel_.context, batch->pages.at(i));
  batch->use = Use::kFree;
  return Progress::kWaiting;
}

bool Driver::send(Batch& batch, Use use, Queue queue) {
  const auto bytes = static_cast<uint32_t>(batch.pages.bytes());
  if (!transport_.send_bytes(transport_.context, queue, batch.pages.data(), bytes, &batch)) return false;
  batch.use = use;
  (use == Use::kInflating ? inflating_ : deflating_) += static_cast<uint32_t>(batch.pages.count());
  ++unannounced_[static_cast<uint32_t>(queue)];
  return true;
}

void Driver::announce() {
  for (uint32_t i = 0; i < 2; ++i) {
    if (unannounced_[i] > 0) transport_.announce(transport_.context, static_cast<Queue>(i));
    unannounced_[i] = 0;
  }
}

// Gives pages back that the device has never heard of.
void Driver::undo(Batch& batch) {
  for (size_t i = 0; i < batch.pages.count(); ++i) kernel_.return_page(kernel_.context, batch.pages.at(i));
  batch.use = Use::kFree;
}

void Driver::on_answer(void* token) {
  if (token == &stats_) {
    send_stats();
    return;
  }
  if (token == &ranges_) {
    kernel_.restore_free(kernel_.context, ranges_, range_count_);
    reporting_ = false;
    return;
  }
  Batch& batch = *static_cast<Batch*>(token);
  const auto count = static_cast<uint32_t>(batch.pages.count());
  if (batch.use == Use::kInflating) {
    for (uint32_t i = 0; i < count; ++i) kernel_.hold(kernel_.context, batch.pages.at(i));
    inflating_ -= count;
    held_ += count;
    counts_.inflated += count;
  } else {
    for (uint32_t i = 0; i < count; ++i) kernel_.return_page(kernel_.context, batch.pages.at(i));
    deflating_ -= count;
    held_ -= count;
    counts_.deflated += count;
  }
  batch.use = Use::kFree;
  publish_actual();
  if (owed_ > 0) (void)give_back(0);
}

uint32_t Driver::give_back(uint32_t pages) {
  resting_ = true;
  owed_ += pages;
  const uint32_t available = held_ - deflating_;
  if (owed_ > available) owed_ = available;
  while (owed_ > 0) {
    const uint32_t before = deflating_;
    if (deflate(owed_) != Progress::kMore) break;  // the rest goes when a request is answered
    owed_ -= deflating_ - before;
    counts_.oom_pages += deflating_ - before;
  }
  announce();  // of what is on its way in, too: it cannot be given back before the device has it
  return deflating_ + owed_;
}

void Driver::start_stats() {
  send_stats();
}

void Driver::send_stats() {
  Stat stats[kMaxStats];
  const uint32_t count = kernel_.read_stats(kernel_.context, stats, kMaxStats);
  constexpr uint32_t kEntryBytes = 10;  // le16 tag, le64 value, packed
  for (uint32_t i = 0; i < count; ++i) {
    put_little_endian(stats_ + i * kEntryBytes, stats[i].tag, 2);
    put_little_endian(stats_ + i * kEntryBytes + 2, stats[i].value, 8);
  }
  if (transport_.send_bytes(transport_.context, Queue::kStats, stats_, count * kEntryBytes, &stats_)) {
    transport_.announce(transport_.context, Queue::kStats);
  }
}

bool Driver::report() {
  if (reporting_) return false;
  range_count_ = kernel_.isolate_free(kernel_.context, ranges_, kMaxFreeRanges);
  if (range_count_ == 0) return false;
  reporting_ = transport_.send_pages(transport_.context, ranges_, range_count_, &ranges_);
  if (!reporting_) {
    kernel_.restore_free(kernel_.context, ranges_, range_count_);
    return false;
  }
  transport_.announce(transport_.context, Queue::kReporting);
  for (uint32_t i = 0; i < range_count_; ++i) counts_.reported += ranges_[i].count;
  return true;
}

}  // namespace balloon
