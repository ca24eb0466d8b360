// The virtio-balloon driver (virtio 1.2 §5.5), free of any kernel's types: what it needs of a kernel, and of a
// transport, it is given as functions. Freestanding: no library behind it.
//
// The device says how many pages the balloon is to hold; the kernel says which. Pages go through here in batches:
//
//   take_page ─▶ filling batch ─▶ inflate queue ─▶ answered ─▶ held by the kernel for the balloon
//   return_page ◀─ answered ◀─ deflate queue ◀─ batch ◀─ no longer held
//
// A page is the kernel's again only after the device has answered: so it does not matter whether the device must be
// told first (VIRTIO_BALLOON_F_MUST_TELL_HOST).
//
// Thread safety: one lock of the kernel's, held in every call. take_page may let go of it: then requests may be
// answered, and give_back() called, in between.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "balloon-driver/pfn_batch.h"

namespace balloon {

enum class Queue : uint8_t { kInflate, kDeflate, kStats, kReporting };

// Adjacent free pages.
struct FreeRange {
  uint32_t pfn;
  uint32_t count;
};

// One of the guest's statistics: virtio 1.2 §5.5.6.4, VIRTIO_BALLOON_S_….
struct Stat {
  uint16_t tag;
  uint64_t value;
};

// What the driver needs of its kernel. Page frame numbers are guest-physical addresses divided by 4096.
struct Kernel {
  void* context;
  // Takes a page from all other use, by paging out if need be, but kills nobody for it. False if there is none to be
  // had.
  bool (*take_page)(void* context, uint32_t* pfn);
  // Gives a page back to all use.
  void (*return_page)(void* context, uint32_t pfn);
  // Keeps a page for the balloon; and names one that is kept, and keeps it no longer. False if none is.
  void (*hold)(void* context, uint32_t pfn);
  bool (*unhold)(void* context, uint32_t* pfn);
  // Fills at most `max` of `stats`; returns how many.
  uint32_t (*read_stats)(void* context, Stat* stats, uint32_t max);
  // Sets free pages that were not reported since they became free aside, so that nobody gets them, in at most `max`
  // ranges; returns how many ranges. And makes them available again, reported.
  uint32_t (*isolate_free)(void* context, FreeRange* ranges, uint32_t max);
  void (*restore_free)(void* context, const FreeRange* ranges, uint32_t count);
};

// The way to the device. Each request comes back by Driver::on_answer with its token. The device need not look at what
// was sent before it was announced.
struct Transport {
  void* context;
  // Bytes for the device to read, which stay where they are until the answer. False if the queue is full.
  bool (*send_bytes)(void* context, Queue queue, const void* data, uint32_t bytes, void* token);
  // Pages that the device may change, on the reporting queue. False likewise.
  bool (*send_pages)(void* context, const FreeRange* ranges, uint32_t count, void* token);
  void (*announce)(void* context, Queue queue);
  // The two fields of the configuration: how many pages the balloon is to hold, and how many it does.
  uint32_t (*target)(void* context);
  void (*set_actual)(void* context, uint32_t pages);
};

class Driver {
 public:
  static constexpr uint32_t kBatches = 18;        // requests in flight on the inflate and deflate queues together
  static constexpr uint32_t kKeptForDeflate = 2;  // of these: giving back must not wait for taking
  // Announced together, while there is more to come: the device finds more adjacent pages in more requests, and the
  // guest is left less often.
  static constexpr uint32_t kBatchesPerAnnouncement = 8;
  static constexpr uint32_t kMaxFreeRanges = 32;  // of one report
  static constexpr uint32_t kMaxStats = 16;

  enum class Progress : uint8_t {
    kDone,     // the balloon has the size that it should have
    kMore,     // call again
    kWaiting,  // call again when a request has been answered
    kStarved,  // no page is to be had just now; call again in a while
  };

  constexpr Driver(const Kernel& kernel, const Transport& transport) : kernel_(kernel), transport_(transport) {}

  // One step, of at most a batch, towards the target. Not to be called again before it returns.
  Progress work();

  // The device has answered a request.
  void on_answer(void* token);

  // Takes at least `pages` pages out of the balloon, as fast as it goes, if it has so many; for a kernel that has no
  // others left (VIRTIO_BALLOON_F_DEFLATE_ON_OOM). Inflating rests until allow_inflating(). Returns how many are on
  // their way.
  uint32_t give_back(uint32_t pages);
  void allow_inflating() { resting_ = false; }

  // Sends the first statistics; from then on the device's answer is its question for fresh ones.
  void start_stats();

  // Reports free pages, if no report is in flight and there are some. Returns whether it did.
  bool report();

  [[nodiscard]] uint32_t held() const { return held_; }

  struct Counts {
    uint32_t inflated;   // pages, since the start
    uint32_t deflated;   // likewise
    uint32_t oom_pages;  // of these: by give_back()
    uint32_t reported;   // pages
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  enum class Use : uint8_t { kFree, kFilling, kInflating, kDeflating };
  struct Batch {
    PfnBatch pages;
    Use use = Use::kFree;
  };

  Progress step();
  Batch* take_batch(bool for_deflate);
  Progress inflate(uint32_t wanted);
  Progress deflate(uint32_t wanted);
  bool send(Batch& batch, Use use, Queue queue);
  void announce();
  void undo(Batch& batch);
  void send_stats();
  void publish_actual() { transport_.set_actual(transport_.context, held_); }

  Kernel kernel_;
  Transport transport_;
  Batch batches_[kBatches];
  uint32_t held_ = 0;             // pages that the device knows to be in the balloon
  uint32_t inflating_ = 0;        // pages on their way in
  uint32_t deflating_ = 0;        // pages on their way out; counted in held_ until then
  uint32_t owed_ = 0;             // pages that give_back() still has to send off
  uint32_t unannounced_[2] = {};  // batches sent; by Queue, kInflate and kDeflate
  bool resting_ = false;
  bool reporting_ = false;
  FreeRange ranges_[kMaxFreeRanges] = {};
  uint32_t range_count_ = 0;
  uint8_t stats_[kMaxStats * 10] = {};
  Counts counts_ = {};
};

}  // namespace balloon
