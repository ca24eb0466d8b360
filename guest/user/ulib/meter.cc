#include "guest/user/ulib/meter.h"

#include "guest/user/ulib/print.h"
#include "guest/user/ulib/syscall.h"
#include "guest/user/ulib/time.h"

namespace ulib {
namespace {

constexpr uint32_t kCountsBetweenLooks = 16;

uint32_t major_faults() {
  guest_abi::MemStat stat = {};
  memstat(&stat, sizeof(stat));
  return stat.faults_swap;
}

// count × rate / ticks, without overflow for any count: whole ticks' worth first.
uint32_t per_second(uint32_t count, uint32_t ticks, uint32_t rate) {
  if (ticks == 0) ticks = 1;
  return count / ticks * rate + count % ticks * rate / ticks;
}

}  // namespace

Meter::Meter(const char* program, const char* unit, uint32_t seconds)
    : program_(program),
      unit_(unit),
      seconds_(seconds),
      rate_(ticks_per_second()),
      start_(uptime_ticks()),
      now_(start_),
      second_start_(start_),
      first_faults_(major_faults()),
      second_faults_(first_faults_) {}

void Meter::count(uint32_t done) {
  total_ += done;
  second_total_ += done;
  if (++since_look_ < kCountsBetweenLooks) return;
  since_look_ = 0;
  look();
}

void Meter::look() {
  now_ = uptime_ticks();
  const uint32_t ticks = now_ - second_start_;
  if (ticks < rate_) return;
  const uint32_t faults = major_faults();
  print("%s: %u s, %u %s/s, %u major faults/s\n", program_, (now_ - start_) / rate_,
        per_second(second_total_, ticks, rate_), unit_, per_second(faults - second_faults_, ticks, rate_));
  second_start_ = now_;
  second_total_ = 0;
  second_faults_ = faults;
}

void Meter::finish(const char* remark) {
  now_ = uptime_ticks();
  const uint32_t ticks = now_ - start_;
  print("%s: %u %s in %u.%02u s, %u/s, %u major faults, %s\n", program_, total_, unit_, ticks / rate_,
        ticks % rate_ * 100 / rate_, per_second(total_, ticks, rate_), major_faults() - first_faults_, remark);
}

}  // namespace ulib
