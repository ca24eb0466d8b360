#include "guest/kernel/balloon.h"

#include "guest/kernel/frames.h"
#include "guest/kernel/irq.h"
#include "guest/kernel/memory_stat.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/timer.h"
#include "guest/kernel/virtio_mmio.h"
#include "guest/kernel/virtqueue.h"

namespace twofold::kernel::balloon {
namespace {

using ::balloon::Driver;
using ::balloon::FreeRange;
using ::balloon::Queue;
using ::balloon::Stat;

constexpr uint32_t kVirtioIdBalloon = 5;
constexpr uint32_t kMustTellHost = 0;  // feature bits
constexpr uint32_t kStatsQueue = 1;
constexpr uint32_t kDeflateOnOom = 2;
constexpr uint32_t kPageReporting = 5;
constexpr uint32_t kConfigNumPages = 0;
constexpr uint32_t kConfigActual = 4;

constexpr uint32_t kStarvedTicks = timer::kTicksPerSecond / 5;
constexpr uint32_t kRestTicks = timer::kTicksPerSecond;  // of inflating, after pages were taken back
constexpr uint32_t kReportTicks = timer::kTicksPerSecond / 50;
constexpr uint32_t kFirstOomPages = 256;
constexpr uint32_t kMinReportedRun = 4;  // frames: shorter runs are not worth a system call of the hypervisor's
constexpr uint32_t kMaxReportedRun = 1024;
constexpr uint32_t kQueues = 4;

constinit VirtioMmio device{};
constinit Virtqueue queues[kQueues]{};  // by Queue
uint32_t queue_index[kQueues];          // the device's number for each; only with its feature
bool queue_exists[kQueues];
bool present = false;

uint32_t held_list = kNoFrame;  // frames in the balloon
uint32_t report_cursor = 0;     // where the next search for free runs begins
uint32_t oom_pages = kFirstOomPages;
uint32_t last_oom_tick = 0;
constinit const char thread_channel{};

bool send(Queue queue, const Virtqueue::Buffer* buffers, uint32_t count, void* token) {
  const auto index = static_cast<uint32_t>(queue);
  if (!queue_exists[index] || queues[index].free_descriptors() < count) return false;
  queues[index].add(buffers, count, token);
  return true;
}

// --- What the driver asks of its kernel -----------------------------------------------------------------

bool take_page(void*, uint32_t* pfn) {
  if (!reclaim::make_room_gently(1)) return false;
  const uint8_t* const page = frames::allocate(frames::Use::kBalloon);
  if (page == nullptr) return false;
  *pfn = frames::number_of(to_physical(page));
  return true;
}

// Not touched: the memory behind it comes with the first use.
void return_page(void*, uint32_t pfn) {
  frames::free_untouched(pfn, true);
  wake_up(channel());
}

void hold(void*, uint32_t pfn) {
  frames::at(pfn).next = held_list;
  held_list = pfn;
}

bool unhold(void*, uint32_t* pfn) {
  if (held_list == kNoFrame) return false;
  *pfn = held_list;
  held_list = frames::at(held_list).next;
  return true;
}

uint32_t read_stats(void*, Stat* stats, uint32_t max) {
  const guest_abi::MemStat now = memory_stat();
  constexpr uint64_t kPage = kPageSize;
  const uint32_t minor = now.faults_zero + now.faults_file + now.faults_cow + now.faults_cache;
  // Tags of virtio 1.2, 5.5.6.4, and Linux's newer ones.
  const Stat all[] = {{0, now.swap_ins * kPage},
                      {1, now.swap_outs * kPage},
                      {2, now.faults_swap},
                      {3, minor},
                      {4, now.free * kPage},
                      {5, now.total * kPage},
                      {6, (now.free + now.cache) * kPage},
                      {7, now.cache * kPage},
                      {10, now.oom_kills},
                      {11, now.stalls}};
  const uint32_t count = min<uint32_t>(max, sizeof(all) / sizeof(all[0]));
  for (uint32_t i = 0; i < count; ++i) stats[i] = all[i];
  return count;
}

bool is_reportable(uint32_t number) {
  if (!ram::was_handed_out(number)) return false;
  const Frame& frame = frames::at(number);
  return frames::use_of(frame) == frames::Use::kFree && frame.reported == 0;
}

// Runs of free frames from the cursor on, once around, but not the last free ones: those are wanted soon.
uint32_t isolate_free(void*, FreeRange* ranges, uint32_t max) {
  if (frames::unreported_count() < kMinReportedRun) return 0;
  uint32_t count = 0;
  uint32_t spare = frames::free_count() - min(frames::free_count(), reclaim::watermarks().high);
  for (uint32_t looked = 0; looked < ram::end_frame() && count < max && spare >= kMaxReportedRun / 8;) {
    if (report_cursor >= ram::end_frame()) report_cursor = 0;
    uint32_t length = 0;
    const uint32_t most = min(kMaxReportedRun, spare);
    while (length < most && is_reportable(report_cursor + length)) ++length;
    if (length >= kMinReportedRun) {
      for (uint32_t i = 0; i < length; ++i) frames::set_aside(report_cursor + i);
      ranges[count++] = {report_cursor, length};
      spare -= length;
    }
    report_cursor += length + 1;
    looked += length + 1;
  }
  return count;
}

void restore_free(void*, const FreeRange* ranges, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = 0; j < ranges[i].count; ++j) frames::free_untouched(ranges[i].pfn + j, true);
  }
}

// --- And of its transport ------------------------------------------------------------------------------

bool send_bytes(void*, Queue queue, const void* data, uint32_t bytes, void* token) {
  const Virtqueue::Buffer buffer{to_physical(data), bytes, false};
  return send(queue, &buffer, 1, token);
}

bool send_pages(void*, const FreeRange* ranges, uint32_t count, void* token) {
  Virtqueue::Buffer buffers[Driver::kMaxFreeRanges];
  for (uint32_t i = 0; i < count; ++i) {
    buffers[i] = {frames::address_of(ranges[i].pfn), ranges[i].count * kPageSize, true};
  }
  return send(Queue::kReporting, buffers, count, token);
}

void announce(void*, Queue queue) {
  const auto index = static_cast<uint32_t>(queue);
  if (queues[index].publish()) device.notify(queue_index[index]);
}

uint32_t read_target(void*) {
  return device.read_config(kConfigNumPages);
}

void write_actual(void*, uint32_t pages) {
  device.write_config(kConfigActual, pages);
}

constinit Driver driver{
    {nullptr, take_page, return_page, hold, unhold, read_stats, isolate_free, restore_free},
    {nullptr, send_bytes, send_pages, announce, read_target, write_actual},
};

// --------------------------------------------------------------------------------------------------------

void on_interrupt(void*) {
  device.take_interrupt();
  for (uint32_t i = 0; i < kQueues; ++i) {
    if (!queue_exists[i]) continue;
    while (void* const token = queues[i].take_used()) driver.on_answer(token);
  }
  wake_up(&thread_channel);  // the target may be another, or a request is free again
}

[[noreturn]] void balloon_thread() {
  for (;;) {
    switch (driver.work()) {
      case Driver::Progress::kMore:
        (void)preempt_point();
        break;
      case Driver::Progress::kStarved:
        if (uptime_ticks() - last_oom_tick >= kRestTicks) driver.allow_inflating();
        (void)sleep_ticks(kStarvedTicks);
        break;
      case Driver::Progress::kDone:
      case Driver::Progress::kWaiting:
        (void)sleep_on(&thread_channel);
        break;
    }
  }
}

[[noreturn]] void reporter_thread() {
  for (;;) {
    (void)sleep_ticks(kReportTicks);
    (void)driver.report();
  }
}

// Sets the queues up that go with the features taken; numbered without gaps.
bool set_up_queues() {
  const bool wanted[kQueues] = {true, true, device.has_feature(kStatsQueue), device.has_feature(kPageReporting)};
  uint32_t next = 0;
  for (uint32_t i = 0; i < kQueues; ++i) {
    if (!wanted[i]) continue;
    queue_index[i] = next++;
    queue_exists[i] = device.set_up_queue(queue_index[i], &queues[i]);
    if (!queue_exists[i]) return false;
  }
  return true;
}

bool find_device() {
  uint32_t position = 0;
  while (device.find(&position)) {
    if (device.device_id() == kVirtioIdBalloon) return true;
  }
  return false;
}

}  // namespace

void init(const Platform& platform) {
  if (!find_device()) return;
  constexpr uint64_t kFeatures = 1u << kMustTellHost | 1u << kStatsQueue | 1u << kDeflateOnOom | 1u << kPageReporting;
  if (!device.negotiate(kFeatures) || !set_up_queues() ||
      !irq::install(platform, device.irq(), on_interrupt, nullptr)) {
    device.give_up();
    kprintf("balloon: the device at 0x%x cannot be used\n", device.address());
    return;
  }
  device.start();
  present = true;
  if (device.has_feature(kStatsQueue)) driver.start_stats();
}

void start() {
  if (!present) return;
  create_kernel_thread("balloon", balloon_thread);
  if (device.has_feature(kPageReporting)) create_kernel_thread("reporter", reporter_thread);
}

bool give_back_for_oom() {
  if (!present || !device.has_feature(kDeflateOnOom)) return false;
  if (uptime_ticks() - last_oom_tick >= kRestTicks) oom_pages = kFirstOomPages;
  last_oom_tick = uptime_ticks();
  const bool some = driver.give_back(oom_pages) > 0;
  if (some) oom_pages = min(oom_pages * 2, ram::total_frames());
  return some;
}

const void* channel() {
  return &held_list;
}

const Driver::Counts& counts() {
  return driver.counts();
}

}  // namespace twofold::kernel::balloon
