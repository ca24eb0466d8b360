// `twofold run`: one guest, from a kernel file to an exit status.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/result.h"
#include "vmm/base/size.h"

namespace twofold::cli {

struct DiskOption {
  std::string path;
  bool read_only = false;
};

enum class ConsoleKind : uint8_t { kStdio, kFile, kNone };

struct ConsoleOption {
  ConsoleKind kind = ConsoleKind::kStdio;
  std::string path;  // for kFile
};

struct BalloonOption {
  bool on = true;
  bool deflate_on_oom = true;
  bool free_page_reporting = true;
};

struct MergeOption {
  bool on = false;
  uint64_t frames_per_second = 100'000;  // 0: no limit
  uint32_t cpu_per_cent = 50;
  bool random_order = false;
  std::string host;    // socket of a host service; empty: the guest's pages are merged among themselves
  std::string domain;  // the share domain there
};

// The command line of `run`, syntactically checked. What the machine or KVM may still refuse (memory that is no page
// multiple, more CPUs than KVM has, files that do not open) is for run_command to say.
struct RunOptions {
  std::string kernel;
  uint64_t memory_bytes = 64 * MiB;
  uint32_t cpus = 1;
  std::string initrd;  // empty: none
  std::string append;
  std::vector<DiskOption> disks;
  std::string name;  // empty: default_vm_name
  ConsoleOption console;
  BalloonOption balloon;
  MergeOption merge;
  std::string stats;  // a file for the run's statistics; empty: none
  std::string api;    // a second control socket's path; empty: none
};

// Runs the guest to its end. Returns the process's exit status, as docs/architecture.md lists them; what went wrong has
// been printed to stderr by then.
int run_command(const RunOptions& options);

// "FILE" or "FILE,ro". A comma before anything but "ro" belongs to the file's name.
Result<DiskOption> parse_disk(std::string_view text);

// "on", "off", or a list of "no-deflate-on-oom" and "no-reporting".
Result<BalloonOption> parse_balloon(std::string_view text);

// "stdio", "none" or "file:PATH".
Result<ConsoleOption> parse_console(std::string_view text);

}  // namespace twofold::cli
