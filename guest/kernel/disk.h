// virtio-blk disks (virtio 1.2, 5.2), named vda, vdb, … in the order in which the command line announces them.
//
// Requests come from a pool of the disk's own, so that one can be had without any memory; several are in flight at
// once.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/firmware_tables.h"
#include "guest/kernel/virtio_mmio.h"
#include "guest/kernel/virtqueue.h"

namespace twofold::kernel {

constexpr uint32_t kSectorSize = 512;
constexpr uint32_t kSectorsPerPage = kPageSize / kSectorSize;

// One transfer between adjacent page-sized places on the disk and as many frames.
struct DiskRequest {
  static constexpr uint32_t kMaxPages = 8;

  // The caller's to fill.
  bool write;
  uint32_t first_page;  // on the disk, in pages
  uint32_t page_count;
  PhysAddr pages[kMaxPages];
  // Called when the disk is done, with whether it has worked: in an interrupt, under the big kernel lock. The request
  // goes back to the pool when it returns.
  void (*done)(const DiskRequest& request, bool worked);

  // The disk's own. 5.2.6: what the device reads first and writes last.
  struct {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
  } header;
  uint8_t status;
  DiskRequest* next;
};

class Disk {
 public:
  // Finds the next disk on the command line, from `*position` on, and starts it. False if there is none any more.
  bool init(const Platform& platform, uint32_t* position, char letter);

  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] uint64_t sectors() const { return sectors_; }
  [[nodiscard]] bool read_only() const { return read_only_; }

  // A request to fill and to submit; null if all are in flight. Writes leave some of them alone: a process that waits
  // for its page must not wait for a queue of pages on their way out.
  DiskRequest* take_request(bool write);
  void give_back(DiskRequest* request);

  // Gives the request to the disk, which sees it at the next flush_submitted().
  void submit(DiskRequest* request);
  void flush_submitted();

  // What somebody sleeps on who waits for any request to end.
  [[nodiscard]] const void* channel() const { return this; }

 private:
  static constexpr uint32_t kRequests = Virtqueue::kMaxSize / (DiskRequest::kMaxPages + 2);
  static constexpr uint32_t kMostKeptForReads = 4;

  bool start(const Platform& platform);
  void on_interrupt();

  VirtioMmio transport_;
  Virtqueue queue_;
  char name_[4] = {};
  uint64_t sectors_ = 0;
  bool read_only_ = false;
  bool submitted_ = false;  // something that the device was not shown yet
  DiskRequest* pool_ = nullptr;
  uint32_t pool_size_ = 0;
  uint32_t kept_for_reads_ = 0;
  DiskRequest requests_[kRequests] = {};
};

namespace disks {

// Finds and starts all disks; what cannot be used is told, and left alone.
void init(const Platform& platform);

uint32_t count();

// Null if there is no disk of that name.
Disk* find(const char* name, uint32_t length);

}  // namespace disks
}  // namespace twofold::kernel
