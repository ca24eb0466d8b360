#include "bench/event_counter.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace twofold::bench {

namespace {

uint64_t tracepoint_id(const std::string& tracepoint) {
  for (const std::string root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    uint64_t id = 0;
    if (std::ifstream(root + "/events/" + tracepoint + "/id") >> id) return id;
  }
  throw std::runtime_error("the kernel shows no tracepoint " + tracepoint + " (is tracefs mounted?)");
}

}  // namespace

EventCounter::EventCounter(const std::string& tracepoint, pid_t process) {
  perf_event_attr wanted{};
  wanted.type = PERF_TYPE_TRACEPOINT;
  wanted.size = sizeof wanted;
  wanted.config = tracepoint_id(tracepoint);
  wanted.inherit = 1;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    const int tid = std::stoi(thread.path().filename());
    UniqueFd fd(static_cast<int>(::syscall(SYS_perf_event_open, &wanted, tid, -1, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!fd) throw std::runtime_error("cannot count " + tracepoint + ": " + errno_text(errno));
    threads_.push_back(std::move(fd));
  }
}

uint64_t EventCounter::count() const {
  uint64_t sum = 0;
  for (const UniqueFd& thread : threads_) {
    uint64_t one = 0;
    if (::read(thread.get(), &one, sizeof one) != sizeof one) throw std::runtime_error("cannot read a count of events");
    sum += one;
  }
  return sum;
}

}  // namespace twofold::bench
