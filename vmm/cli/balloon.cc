#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "vmm/base/size.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/control/json_text.h"

namespace twofold::cli {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

uint64_t number_of(const json& object, const char* key) {
  const bool known = object.is_object() && object.contains(key) && object[key].is_number_unsigned();
  return known ? object[key].get<uint64_t>() : 0;
}

// "[#########.......] 24 MiB of 32 MiB", over the line before, on a terminal alone.
void show_progress(const json& balloon) {
  if (::isatty(STDERR_FILENO) == 0) return;
  constexpr uint64_t kWidth = 40;
  const uint64_t actual = number_of(balloon, "actual_bytes");
  const uint64_t target = number_of(balloon, "target_bytes");
  const uint64_t most = std::max({actual, target, uint64_t{1}});
  const auto cells = static_cast<size_t>(actual * kWidth / most);
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {} of {} ", "", cells, "", kWidth - cells, format_size(actual),
             format_size(target));
  std::fflush(stderr);
}

void end_progress() {
  if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\n");
}

// Looks at the balloon until it has its size, or until the time is up. The last look, or what went wrong.
Result<json> wait_for_target(const VmClient& vm, uint64_t seconds) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  for (;;) {
    auto balloon = vm.balloon();
    if (!balloon) return balloon;
    show_progress(*balloon);
    const uint64_t target = number_of(*balloon, "target_bytes");
    const uint64_t actual = number_of(*balloon, "actual_bytes");
    if (target == actual) return balloon;
    if (Clock::now() >= deadline) {
      const bool driver = balloon->value("driver_ready", false);
      return fail("the balloon has {} of {} after {} s: {}", format_size(actual), format_size(target), seconds,
                  driver ? "the guest is still at it, or can give no more; 'twofold stats' tells"
                         : "the guest has no driver for it");
    }
    std::this_thread::sleep_for(50ms);
  }
}

void print_balloon(const json& balloon) {
  fmt::print("target {}, actual {}{}\n", format_size(number_of(balloon, "target_bytes")),
             format_size(number_of(balloon, "actual_bytes")),
             balloon.value("driver_ready", false) ? "" : ", and the guest has no driver for it");
}

}  // namespace

int balloon_command(const BalloonRequest& request, bool as_json) {
  const auto registry = Registry::open();
  if (!registry) return complain(registry.error().message, kFailed);
  const auto found = registry->find(request.vm);
  if (!found) return complain(found.error().message, kFailed);
  const VmClient vm(*found);
  auto balloon = request.target_bytes ? vm.set_balloon(*request.target_bytes) : vm.balloon();
  if (balloon && request.wait) {
    balloon = wait_for_target(vm, request.seconds);
    end_progress();
  }
  if (!balloon) return complain(balloon.error().message, kFailed);
  if (as_json) {
    fmt::print("{}\n", json_text(*balloon, 2));
  } else {
    print_balloon(*balloon);
  }
  return kOk;
}

}  // namespace twofold::cli
