// usertests [-v] [core | section… | section/case…]: checks the kernel from the outside, one line a case. Without a
// section it runs all; `core` runs the quick cases of all. The exit status is 0 only if at least one case ran and none
// failed.
#include "guest/user/ulib/time.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

using SectionFunction = Section (*)();
constexpr SectionFunction kSections[] = {
    files_section,   pipes_section,      processes_section,     status_section,   arguments_section,
    exec_section,    heap_section,       copy_on_write_section, pointers_section, protection_section,
    machine_section, scheduling_section, programs_section,      paging_section,   stress_section,
};

constexpr uint32_t kCaseLimitSeconds = 60;  // then the case counts as hung; generous, for slow emulators

struct Totals {
  uint32_t passed = 0;
  uint32_t failed = 0;
  uint32_t skipped = 0;
};

enum class Verdict { kPassed, kFailed, kSkipped };

// What must be the same before and after each case. Not how many pages are free: that is reclaim's affair. But the
// kernel's accounts tell whether each page is somebody's.
struct Resources {
  uint32_t kernel_pages;
  uint32_t table_pages;
  int32_t processes;
  int32_t wrong_accounts;

  bool operator==(const Resources& other) const {
    return kernel_pages == other.kernel_pages && table_pages == other.table_pages && processes == other.processes &&
           wrong_accounts == other.wrong_accounts;
  }
};

Resources measure() {
  const MemStat stat = memory();
  return Resources{stat.kernel, stat.page_table, process_count(), audit()};
}

// Measures until the figures are as `before`, since init reaps orphans in its own time; gives up after a second.
Resources measure_settled(const Resources& before) {
  Resources now = measure();
  for (uint32_t turn = 0; turn < 100 && !(now == before); ++turn) {
    sleep_ticks(1);
    now = measure();
  }
  return now;
}

// Runs the case in a child, which it kills at the time limit. Returns its status.
int32_t run_limited(const Section& section, const Case& test) {
  const Pipe go = make_pipe();
  const int32_t pid = start([&] {
    await(go.reader);
    close_pipe(go);
    begin_case(section.name, test.name);
    test.run();
  });
  // The case begins once this process has its own copies of all pages that it writes below: cases count faults.
  process_info(pid);
  signal(go.writer);
  const uint32_t limit = kCaseLimitSeconds * ticks_per_second();
  const uint32_t begin = uptime_ticks();
  while (process_info(pid).state != kProcZombie) {
    if (uptime_ticks() - begin > limit) {
      print("       %s/%s: no end after %u s\n", section.name, test.name, kCaseLimitSeconds);
      kill(pid);
      break;
    }
    sleep_ticks(1);
  }
  close_pipe(go);
  return status_of_pid(pid);
}

// Ends what a failed case has left running. All processes younger than this one come from cases.
void kill_strays() {
  const ProcessList processes = list_processes();
  for (int32_t i = 0; i < processes.count; ++i) {
    if (processes.list[i].pid > getpid()) kill(processes.list[i].pid);
  }
}

// Runs a case and prints its line.
Verdict run_case(const Section& section, const Case& test, bool verbose) {
  const Resources before = measure();
  const uint32_t start_ticks = uptime_ticks();
  const int32_t status = run_limited(section, test);
  const uint32_t ticks = uptime_ticks() - start_ticks;
  const Resources after = measure_settled(before);
  if (status == kCheckFailedStatus) return Verdict::kFailed;  // the check has spoken
  const bool skipped = status == kSkippedStatus;
  if (status != 0 && !skipped) {
    print("FAILED %s/%s: its process ended with status %d\n", section.name, test.name, status);
    return Verdict::kFailed;
  }
  if (!(after == before)) {
    print("FAILED %s/%s: left behind %d kernel, %d page-table pages, %d processes; %d accounts of pages are wrong\n",
          section.name, test.name, static_cast<int32_t>(after.kernel_pages - before.kernel_pages),
          static_cast<int32_t>(after.table_pages - before.table_pages), after.processes - before.processes,
          after.wrong_accounts);
    return Verdict::kFailed;
  }
  if (skipped) return Verdict::kSkipped;
  if (verbose) {
    print("ok     %s/%s (%u ticks)\n", section.name, test.name, ticks);
  } else {
    print("ok     %s/%s\n", section.name, test.name);
  }
  return Verdict::kPassed;
}

void do_nothing() {}

extern "C" const char end_of_program[];  // user.ld

// Cases count faults and pages, so all of the program's own is brought in before. Where memory is short it may go
// again.
void touch_program() {
  for (uint32_t page = kUserTextBase; page < address_of(end_of_program); page += kPageSize) (void)*at(page);
}

// The runner's first forks touch pages of its own for the first time; after two, its memory is steady.
void warm_up() {
  const Section section{"warm-up", nullptr, 0, nullptr};
  const Case nothing{"nothing", do_nothing};
  for (int turn = 0; turn < 2; ++turn) {
    const Resources before = measure();
    run_limited(section, nothing);
    measure_settled(before);
  }
}

struct Options {
  bool verbose = false;
  bool core = false;
  int first_name = 1;  // argv from here on: sections
};

// Whether `word` names the section or, with a case, that case of it ("paging/…"); a null case stands for any.
bool names(const char* word, const Section& section, const Case* test) {
  if (!starts_with(word, section.name)) return false;
  const char* const rest = word + length(section.name);
  if (*rest == '\0') return true;
  return *rest == '/' && (test == nullptr || equal(rest + 1, test->name));
}

bool is_selected(const Section& section, const Case* test, const Options& options, int argc, char** argv) {
  if (options.core || options.first_name >= argc) return true;
  for (int i = options.first_name; i < argc; ++i) {
    if (names(argv[i], section, test)) return true;
  }
  return false;
}

bool all_known(const Options& options, int argc, char** argv) {
  for (int i = options.first_name; i < argc; ++i) {
    bool known = options.core;
    for (const SectionFunction section : kSections) known = known || names(argv[i], section(), nullptr);
    if (known) continue;
    print("usertests: no section %s. Sections: core", argv[i]);
    for (const SectionFunction section : kSections) print(" %s", section().name);
    print("\n");
    return false;
  }
  return true;
}

void run_section(const Section& section, const Options& options, int argc, char** argv, Totals* totals) {
  const char* const missing = section.missing != nullptr ? section.missing() : nullptr;
  if (missing != nullptr) print("skip   %s/*: %s\n", section.name, missing);
  for (uint32_t i = 0; i < section.count; ++i) {
    const Case& test = section.cases[i];
    if (options.core && test.cost != Cost::kQuick) continue;
    if (!is_selected(section, &test, options, argc, argv)) continue;
    const Verdict verdict = missing != nullptr ? Verdict::kSkipped : run_case(section, test, options.verbose);
    if (verdict == Verdict::kPassed) ++totals->passed;
    if (verdict == Verdict::kSkipped) ++totals->skipped;
    if (verdict != Verdict::kFailed) continue;
    ++totals->failed;
    kill_strays();
  }
}

int run_all(int argc, char** argv) {
  Options options;
  if (options.first_name < argc && equal(argv[options.first_name], "-v")) {
    options.verbose = true;
    ++options.first_name;
  }
  if (options.first_name < argc && equal(argv[options.first_name], "core")) {
    options.core = true;
    ++options.first_name;
  }
  if (!all_known(options, argc, argv)) return 2;
  touch_program();
  warm_up();
  Totals totals;
  for (const SectionFunction get_section : kSections) {
    const Section section = get_section();
    if (!is_selected(section, nullptr, options, argc, argv)) continue;
    run_section(section, options, argc, argv, &totals);
  }
  if (totals.skipped > 0) print("usertests: %u skipped\n", totals.skipped);
  print("usertests: %u passed, %u failed\n", totals.passed, totals.failed);
  return totals.passed > 0 && totals.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace usertests

int main(int argc, char** argv) {
  // What exec'd copies of this program do for the cases.
  if (argc >= 2 && ulib::equal(argv[1], "--exec-check")) return usertests::exec_check(argc, argv);
  return usertests::run_all(argc, argv);
}
