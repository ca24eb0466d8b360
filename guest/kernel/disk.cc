#include "guest/kernel/disk.h"

#include "guest/kernel/irq.h"
#include "guest/kernel/print.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"

namespace twofold::kernel {
namespace {

constexpr uint32_t kVirtioIdBlock = 2;
constexpr uint32_t kFeatureReadOnly = 5;
// Taken, though nothing here ever flushes: without it a disk is write-through (5.2.5.1), and what is swapped out
// need not outlive the machine.
constexpr uint32_t kFeatureFlush = 9;
constexpr uint32_t kConfigCapacity = 0;
constexpr uint32_t kTypeIn = 0;
constexpr uint32_t kTypeOut = 1;
constexpr uint8_t kStatusOk = 0;
constexpr uint8_t kStatusPending = 0xff;

}  // namespace

bool Disk::init(const Platform& platform, uint32_t* position, char letter) {
  while (transport_.find(position)) {
    if (transport_.device_id() != kVirtioIdBlock) continue;
    name_[0] = 'v';
    name_[1] = 'd';
    name_[2] = letter;
    if (start(platform)) return true;
    transport_.give_up();
    kprintf("%s: the disk at 0x%x cannot be used\n", name_, transport_.address());
  }
  return false;
}

bool Disk::start(const Platform& platform) {
  if (!transport_.negotiate(1u << kFeatureReadOnly | 1u << kFeatureFlush) || !transport_.set_up_queue(0, &queue_)) {
    return false;
  }
  sectors_ = transport_.read_config(kConfigCapacity) |
             static_cast<uint64_t>(transport_.read_config(kConfigCapacity + 4)) << 32;
  read_only_ = transport_.has_feature(kFeatureReadOnly);
  const auto handler = [](void* disk) { static_cast<Disk*>(disk)->on_interrupt(); };
  if (!irq::install(platform, transport_.irq(), handler, this)) return false;
  // A smaller queue has fewer requests in flight, so that each finds its descriptors.
  const uint32_t fit = min(kRequests, queue_.size() / (DiskRequest::kMaxPages + 2));
  if (fit < 2) return false;  // one to read while another writes
  for (uint32_t i = 0; i < fit; ++i) give_back(&requests_[i]);
  kept_for_reads_ = min(kMostKeptForReads, fit / 2);
  transport_.start();
  return true;
}

DiskRequest* Disk::take_request(bool write) {
  if (pool_size_ <= (write ? kept_for_reads_ : 0)) return nullptr;
  DiskRequest* const request = pool_;
  pool_ = request->next;
  --pool_size_;
  request->write = write;
  request->page_count = 0;
  return request;
}

void Disk::give_back(DiskRequest* request) {
  request->next = pool_;
  pool_ = request;
  ++pool_size_;
}

void Disk::submit(DiskRequest* request) {
  request->header = {request->write ? kTypeOut : kTypeIn, 0,
                     static_cast<uint64_t>(request->first_page) * kSectorsPerPage};
  request->status = kStatusPending;
  Virtqueue::Buffer buffers[DiskRequest::kMaxPages + 2];
  uint32_t count = 0;
  buffers[count++] = {to_physical(&request->header), sizeof(request->header), false};
  for (uint32_t i = 0; i < request->page_count; ++i) buffers[count++] = {request->pages[i], kPageSize, !request->write};
  buffers[count++] = {to_physical(&request->status), sizeof(request->status), true};
  queue_.add(buffers, count, request);
  submitted_ = true;
}

void Disk::flush_submitted() {
  if (!submitted_) return;
  submitted_ = false;
  if (queue_.publish()) transport_.notify(0);
}

void Disk::on_interrupt() {
  transport_.take_interrupt();
  bool any = false;
  while (void* const token = queue_.take_used()) {
    auto* const request = static_cast<DiskRequest*>(token);
    request->done(*request, request->status == kStatusOk);
    give_back(request);
    any = true;
  }
  if (any) wake_up(channel());
}

namespace disks {
namespace {

constexpr uint32_t kMaxDisks = 8;
constinit Disk table[kMaxDisks]{};
uint32_t disk_count = 0;

}  // namespace

void init(const Platform& platform) {
  uint32_t position = 0;
  while (disk_count < kMaxDisks && table[disk_count].init(platform, &position, static_cast<char>('a' + disk_count))) {
    ++disk_count;
  }
}

uint32_t count() {
  return disk_count;
}

Disk* find(const char* name, uint32_t length) {
  for (uint32_t i = 0; i < disk_count; ++i) {
    if (equals_span(table[i].name(), name, length)) return &table[i];
  }
  return nullptr;
}

}  // namespace disks
}  // namespace twofold::kernel
