// free: where the guest's memory is, and what its page faults did.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace {

void print_row(const char* name, uint32_t pages, const char* meaning) {
  ulib::print("%-12s %9u KiB  %s\n", name, pages * (guest_abi::kPageSize / 1024), meaning);
}

void print_help() {
  ulib::print(
      "usage: free [--help]\n"
      "Shows, in KiB, how the guest's memory is used, and counts its page faults since boot.\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const bool help = ulib::equal(argv[1], "--help");
    print_help();
    return help ? 0 : 1;
  }
  guest_abi::MemStat stat = {};
  const int32_t result = ulib::memstat(&stat, sizeof(stat));
  if (result < 0) ulib::die("free: %s", ulib::error_text(result));
  print_row("total", stat.total, "all that the page allocator was given");
  print_row("used", stat.total - stat.free, "");
  print_row("free", stat.free, "");
  print_row("kernel", stat.kernel, "image, kernel stacks and tables");
  print_row("page-table", stat.page_table, "page directories and page tables of processes");
  print_row("user", stat.user, "frames that processes map, each counted once");
  print_row("shared", stat.user_shared, "of those, mapped more than once: copy-on-write");
  print_row("cache", stat.cache, "frames in the swap cache that nobody maps");
  print_row("balloon", stat.balloon, "frames that the hypervisor has taken by its balloon");
  print_row("swap", stat.swap_total, stat.swap_total == 0 ? "none: boot with swap=vdb" : "all of the swap disk");
  print_row("swap used", stat.swap_used, "");
  ulib::print(
      "page faults  %9u zero-filled, %u from files, %u copied on write, %u from the swap cache, %u from the disk, "
      "%u fatal\n",
      stat.faults_zero, stat.faults_file, stat.faults_cow, stat.faults_cache, stat.faults_swap, stat.faults_killed);
  return 0;
}
