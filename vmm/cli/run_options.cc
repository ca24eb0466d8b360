#include "vmm/cli/run_options.h"

#include "vmm/control/numbers.h"
#include "vmm/control/registry.h"

namespace twofold::cli {

Result<DiskOption> parse_disk(std::string_view text) {
  constexpr std::string_view kReadOnly = ",ro";
  DiskOption disk;
  disk.read_only = text.ends_with(kReadOnly);
  if (disk.read_only) text.remove_suffix(kReadOnly.size());
  if (text.empty()) return fail("--disk wants FILE or FILE,ro");
  disk.path = text;
  return disk;
}

Result<ConsoleOption> parse_console(std::string_view text) {
  constexpr std::string_view kFile = "file:";
  if (text == "stdio") return ConsoleOption{ConsoleKind::kStdio, {}};
  if (text == "none") return ConsoleOption{ConsoleKind::kNone, {}};
  if (text.starts_with(kFile) && text.size() > kFile.size()) {
    return ConsoleOption{ConsoleKind::kFile, std::string(text.substr(kFile.size()))};
  }
  return fail("--console '{}' is none of stdio, none and file:PATH", text);
}

Result<BalloonOption> parse_balloon(std::string_view text) {
  BalloonOption balloon;
  if (text == "on") return balloon;
  if (text == "off") return BalloonOption{false, false, false};
  while (true) {
    const auto comma = text.find(',');
    const auto word = text.substr(0, comma);
    if (word == "no-deflate-on-oom") {
      balloon.deflate_on_oom = false;
    } else if (word == "no-reporting") {
      balloon.free_page_reporting = false;
    } else {
      return fail("--balloon: '{}' is none of on, off, no-deflate-on-oom and no-reporting", word);
    }
    if (comma == std::string_view::npos) return balloon;
    text.remove_prefix(comma + 1);
  }
}

namespace {

// One of two words.
Result<bool> parse_choice(const char* option, const std::string& text, const char* no, const char* yes) {
  if (text == no) return false;
  if (text == yes) return true;
  return fail("{}: '{}' is neither {} nor {}", option, text, no, yes);
}

Result<MergeOption> parse_merge(const RunArguments& arguments) {
  const auto on = parse_choice("--merge", arguments.merge, "off", "on");
  if (!on) return pass_on(on);
  const auto random = parse_choice("--merge-order", arguments.merge_order, "scan", "random");
  if (!random) return pass_on(random);
  const auto rate = parse_number(arguments.merge_rate, UINT32_MAX);
  if (!rate) return fail("--merge-rate: {}", rate.error().message);
  const auto cpu = parse_number(arguments.merge_cpu, 100);
  if (!cpu) return fail("--merge-cpu: {}", cpu.error().message);
  if (*cpu == 0) return fail("--merge-cpu: 0 per cent is no time at all; leave --merge out instead");
  if (arguments.host.empty() != arguments.share_domain.empty()) {
    return fail("--host and --share-domain go together: without a domain's name nothing is shared with other VMs");
  }
  const bool with_others = !arguments.host.empty();
  return MergeOption{*on || with_others,    *rate, static_cast<uint32_t>(*cpu), *random, arguments.host,
                     arguments.share_domain};
}

}  // namespace

Result<RunOptions> to_run_options(const RunArguments& arguments) {
  RunOptions options;
  options.kernel = arguments.kernel;
  options.initrd = arguments.initrd;
  options.append = arguments.append;
  options.name = arguments.name;
  options.stats = arguments.stats;
  options.api = arguments.api;

  const auto memory = parse_size(arguments.memory);
  if (!memory) return fail("--memory: {}", memory.error().message);
  options.memory_bytes = *memory;
  const auto cpus = parse_number(arguments.cpus, UINT32_MAX);
  if (!cpus) return fail("--cpus: {}", cpus.error().message);
  options.cpus = static_cast<uint32_t>(*cpus);
  if (!options.name.empty()) {
    if (const auto valid = check_vm_name(options.name); !valid) return fail("--name: {}", valid.error().message);
  }
  for (const std::string& text : arguments.disks) {
    auto disk = parse_disk(text);
    if (!disk) return pass_on(disk);
    options.disks.push_back(std::move(*disk));
  }
  auto console = parse_console(arguments.console);
  if (!console) return pass_on(console);
  options.console = std::move(*console);
  auto balloon = parse_balloon(arguments.balloon);
  if (!balloon) return pass_on(balloon);
  options.balloon = *balloon;
  auto merge = parse_merge(arguments);
  if (!merge) return pass_on(merge);
  options.merge = *merge;
  return options;
}

}  // namespace twofold::cli
