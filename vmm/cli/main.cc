// `twofold`: what the command line says, handed to the command that does it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/run_options.h"
#include "vmm/control/numbers.h"
#include "vmm/control/registry.h"

namespace twofold::cli {

namespace {

constexpr const char* kFooter = R"(Start here:
  twofold doctor                                   what this host can do, and the mend for what it cannot
  twofold run twofold-guest.elf --initrd root.cpio our own guest, to its shell; Ctrl-A x ends it
  twofold ps                                       the VMs that run
  twofold walk 0x5123 --process sh                 that address, through both dimensions of page tables
  twofold balloon a 32M --wait                     take 32 MiB from guest 'a', for the host
  twofold stats a --watch                          where its memory is, each second
  twofold merge a off                              no longer merge the identical pages of guest 'a'

Sizes are whole numbers with a suffix K, M, G or T (powers of 1024). Numbers are decimal, or hexadecimal after 0x.
Where a VM is optional, it may be left out when just one runs.

Exit status: 0 done, 1 failed, 2 wrong usage; 'run' has more, see 'twofold run --help'.)";

constexpr const char* kRunFooter = R"(Examples:
  twofold run twofold-guest.elf --initrd root.cpio
  twofold run kernel.elf --memory 256M --cpus 2 --append "quiet" --disk root.img,ro --disk data.img
  twofold run kernel.elf --console file:console.log --name a &

KERNEL is a 32-bit ELF file with a PVH note or a Multiboot 1 header, as 'qemu -kernel' takes it.
On the terminal, Ctrl-A x ends the guest and Ctrl-A Ctrl-A sends one Ctrl-A.

Exit status:
  odd   the guest's own verdict V, written to port 0xf4: (V << 1) | 1, as QEMU's isa-debug-exit has it
  2     wrong usage or bad input (not an ELF file, memory of 0 bytes, …): nothing was started
  4     this host cannot run it: see 'twofold doctor'
  100   the guest died of a triple fault
  102   KVM internal error
  104   a KVM exit that is not understood (registers and a page walk are printed)
  106   stopped on request: SIGINT, SIGTERM, SIGHUP, Ctrl-A x, or 'twofold stop')";

constexpr const char* kBalloonFooter = R"(Examples:
  twofold balloon a 32M --wait     ask guest 'a' for 32 MiB, and wait until the host has them
  twofold balloon a 0              give all of it back
  twofold balloon a                how the balloon stands

SIZE is how much memory the guest is to have in its balloon, that is, to do without. The guest chooses which pages; it
pages out, if it can, what it needs least. A guest without a driver for the balloon never gets there.)";

constexpr const char* kWalkFooter = R"(Examples:
  twofold walk 0x5123                     with the CR3 that vCPU 0 has loaded
  twofold walk a 0x5123 --process sh      in the process 'sh' of VM 'a' (see 'twofold ps a')
  twofold walk 0x80100000 --cr3 0x3ff000 --json

Shows every step: CR3, PDE and PTE with their flags, the guest-physical address; then the second dimension: the host
virtual address, the state of the host page and, for root, its physical frame; and how many memory references the walk
takes, here and with large pages. The guest stands still while it is walked.)";

struct WalkArguments {
  std::vector<std::string> positional;  // [VM] GVA
  std::string cr3;
  std::string pid;
  std::string process;
  std::string vcpu;
};

// Everything that any command can be told.
struct Arguments {
  std::string log_level = "info";
  RunArguments run;
  WalkArguments walk;
  std::vector<std::string> balloon;  // [VM] [SIZE]
  std::vector<std::string> merge;    // [VM] [on|off]
  std::string socket;                // of host
  std::string pool = "4G";
  BalloonRequest balloon_request;
  std::string vm;  // of ps, stats, pause, resume and stop
  bool watch = false;
  bool json = false;
};

// Takes an optional number option; leaves `to` unset if it was not given.
template <typename T>
Status take_number(const char* option, const std::string& text, uint64_t most, std::optional<T>& to) {
  if (text.empty()) return {};
  const auto number = parse_number(text, most);
  if (!number) return fail("{}: {}", option, number.error().message);
  to = static_cast<T>(*number);
  return {};
}

Result<WalkRequest> to_walk_request(const WalkArguments& arguments) {
  WalkRequest request;
  const auto gva = parse_number(arguments.positional.back());
  if (!gva) return fail("GVA: {}", gva.error().message);
  request.gva = Gva{*gva};
  if (auto done = take_number("--cr3", arguments.cr3, UINT64_MAX, request.cr3); !done) return pass_on(done);
  if (auto done = take_number("--pid", arguments.pid, UINT32_MAX, request.pid); !done) return pass_on(done);
  if (auto done = take_number("--vcpu", arguments.vcpu, UINT32_MAX, request.vcpu); !done) return pass_on(done);
  if (!arguments.process.empty()) request.process = arguments.process;
  return request;
}

void add_run(CLI::App& app, RunArguments& arguments) {
  CLI::App* run = app.add_subcommand("run", "Run a guest until it ends")->footer(kRunFooter);
  run->add_option("KERNEL", arguments.kernel, "The guest's kernel file")->required();
  run->add_option("--memory", arguments.memory, "Guest memory")->capture_default_str()->type_name("SIZE");
  run->add_option("--cpus", arguments.cpus, "Virtual CPUs, 1 to 8")->capture_default_str()->type_name("N");
  run->add_option("--initrd", arguments.initrd, "A file handed to the kernel in memory")->type_name("FILE");
  run->add_option("--append", arguments.append, "The kernel's command line")->type_name("TEXT");
  run->add_option("--disk", arguments.disks, "A raw disk image as a virtio-blk device; may be repeated")
      ->type_name("FILE[,ro]")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  run->add_option("--name", arguments.name, "What the VM is called in 'twofold ps' (default vm-PID)")
      ->type_name("NAME");
  run->add_option("--console", arguments.console, "Where the serial console goes: stdio, file:PATH or none")
      ->capture_default_str()
      ->type_name("WHERE");
  run->add_option(
         "--balloon", arguments.balloon,
         "on, off, or on with no-deflate-on-oom (the guest takes no pages back by itself) and no-reporting (nor "
         "tells of free ones), with a comma between")
      ->capture_default_str()
      ->type_name("HOW");
  run->add_option("--merge", arguments.merge, "on: merge the guest's identical pages while it runs (docs/ksm.md)")
      ->capture_default_str()
      ->type_name("on|off");
  run->add_option("--merge-rate", arguments.merge_rate, "With it: look at so many pages a second at most; 0: no limit")
      ->capture_default_str()
      ->type_name("N");
  run->add_option("--merge-cpu", arguments.merge_cpu, "With it: take so many per cent of a processor at most")
      ->capture_default_str()
      ->type_name("N");
  run->add_option("--merge-order", arguments.merge_order, "With it: walk memory in order (scan), or at random (random)")
      ->capture_default_str()
      ->type_name("HOW");
  run->add_option("--host", arguments.host,
                  "Merge with other VMs, through the host service at this socket (twofold host)")
      ->type_name("PATH");
  run->add_option("--share-domain", arguments.share_domain, "With it: share pages with the VMs of this domain alone")
      ->type_name("NAME");
  run->add_option("--api", arguments.api, "Answer HTTP on a socket at this path, too (docs/control.md)")
      ->type_name("PATH");
  run->add_option("--stats", arguments.stats, "Write what the run cost to this file, as JSON")->type_name("FILE");
}

void add_walk(CLI::App& app, Arguments& arguments) {
  CLI::App* walk = app.add_subcommand("walk", "Show the two-dimensional page walk of a guest-virtual address");
  walk->footer(kWalkFooter);
  walk->add_option("[VM] GVA", arguments.walk.positional, "The VM, and the address")->required()->expected(1, 2);
  auto* cr3 = walk->add_option("--cr3", arguments.walk.cr3, "Take this page directory")->type_name("GPA");
  auto* pid = walk->add_option("--pid", arguments.walk.pid, "Take this process's")->type_name("N");
  auto* process = walk->add_option("--process", arguments.walk.process, "The same, by name")->type_name("NAME");
  walk->add_option("--vcpu", arguments.walk.vcpu, "Whose registers count (default 0)")->type_name("N");
  walk->add_flag("--json", arguments.json, "Print JSON");
  cr3->excludes(pid)->excludes(process);
  pid->excludes(process);
}

void add_balloon(CLI::App& app, Arguments& arguments) {
  CLI::App* balloon =
      app.add_subcommand("balloon", "Take memory from a guest, or give it back")->footer(kBalloonFooter);
  balloon->add_option("[VM] [SIZE]", arguments.balloon, "The VM, and what its balloon is to hold")->expected(0, 2);
  balloon->add_flag("--wait", arguments.balloon_request.wait, "Return when the balloon has that size");
  balloon->add_option("--timeout", arguments.balloon_request.seconds, "With --wait: give up after so many seconds")
      ->capture_default_str()
      ->type_name("SECONDS");
  balloon->add_flag("--json", arguments.json, "Print JSON");
}

// "[VM] [SIZE]": a lone word is a size if it reads as one.
int merge_words(const Arguments& arguments) {
  std::string vm;
  std::optional<bool> on;
  for (const std::string& word : arguments.merge) {
    const bool is_last = &word == &arguments.merge.back();
    if (is_last && (word == "on" || word == "off")) {
      on = word == "on";
    } else if (vm.empty()) {
      vm = word;
    } else {
      return complain(fmt::format("merge: '{}' is neither on nor off", word), kBadUsage);
    }
  }
  return merge_command(vm, on, arguments.json);
}

Status read_balloon_words(Arguments& arguments) {
  BalloonRequest& request = arguments.balloon_request;
  const auto& words = arguments.balloon;
  if (words.empty()) return {};
  const auto size = parse_size(words.back());
  if (size) {
    request.target_bytes = *size;
  } else if (words.size() == 2) {
    return fail("SIZE: {}", size.error().message);
  }
  if (words.size() == 2 || !size) request.vm = words.front();
  if (request.wait && !request.target_bytes) return fail("--wait needs a SIZE to wait for");
  return {};
}

void add_others(CLI::App& app, Arguments& arguments) {
  add_balloon(app, arguments);
  CLI::App* host =
      app.add_subcommand("host", "Let VMs of this user share identical pages, by domains; until interrupted")
          ->footer("VMs join with 'twofold run … --host PATH --share-domain NAME'.");
  host->add_option("--socket", arguments.socket, "Where VMs find it")->type_name("PATH")->required();
  host->add_option("--pool", arguments.pool, "How much the shared pages of one domain may take")
      ->capture_default_str()
      ->type_name("SIZE");
  CLI::App* merge = app.add_subcommand("merge", "Merge a guest's identical pages, or no longer; or tell how it goes")
                        ->footer("The VM must have been started with --merge on. 'off' gives every page its own copy.");
  merge->add_option("[VM] [on|off]", arguments.merge, "The VM, and what is wanted")->expected(0, 2);
  merge->add_flag("--json", arguments.json, "Print JSON");
  CLI::App* stats = app.add_subcommand("stats", "Show where a VM's memory is, its balloon, and its guest's statistics");
  stats->add_option("VM", arguments.vm, "The VM; may be left out when just one runs");
  stats->add_flag("--watch", arguments.watch, "Again each second, until interrupted");
  stats->add_flag("--json", arguments.json, "Print JSON, an object a line with --watch");
  CLI::App* ps = app.add_subcommand("ps", "List the VMs that run or, with a VM, the processes of its guest");
  ps->add_option("VM", arguments.vm, "The VM to look into");
  ps->add_flag("--json", arguments.json, "Print JSON");
  const auto add_state = [&](const char* name, const char* help) {
    app.add_subcommand(name, help)->add_option("VM", arguments.vm, "The VM; may be left out when just one runs");
  };
  add_state("pause", "Hold a VM's CPUs");
  add_state("resume", "Let a paused VM run on");
  add_state("stop", "End a VM; its 'run' exits with status 106");
  CLI::App* doctor = app.add_subcommand("doctor", "Check what this host can do; exit status 0 if it can run guests");
  doctor->add_flag("--json", arguments.json, "Print JSON");
  app.add_subcommand("version", "Print the version");
}

// One line, whatever CLI11 says.
int complain_of_usage(const CLI::App& app, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  const auto chosen = app.get_subcommands();
  const std::string command = chosen.empty() ? "" : chosen.front()->get_name() + " ";
  return complain(fmt::format("{} (see 'twofold {}--help')", message, command), kBadUsage);
}

int dispatch(const CLI::App& app, Arguments& arguments) {
  const std::string command = app.get_subcommands().front()->get_name();
  if (command == "run") {
    const auto options = to_run_options(arguments.run);
    return options ? run_command(*options) : complain_of_usage(app, options.error().message);
  }
  if (command == "walk") {
    const auto request = to_walk_request(arguments.walk);
    if (!request) return complain_of_usage(app, request.error().message);
    const auto& words = arguments.walk.positional;
    return walk_command(words.size() == 2 ? words.front() : "", *request, arguments.json);
  }
  if (command == "balloon") {
    const auto read = read_balloon_words(arguments);
    return read ? balloon_command(arguments.balloon_request, arguments.json)
                : complain_of_usage(app, read.error().message);
  }
  if (command == "host") return host_command(arguments.socket, arguments.pool);
  if (command == "merge") return merge_words(arguments);
  if (command == "stats") return stats_command(arguments.vm, arguments.watch, arguments.json);
  if (command == "ps") return ps_command(arguments.vm, arguments.json);
  if (command == "pause") return state_command(arguments.vm, "paused");
  if (command == "resume") return state_command(arguments.vm, "running");
  if (command == "stop") return state_command(arguments.vm, "stopped");
  if (command == "doctor") return doctor_command(arguments.json);
  fmt::print("twofold {}\n", TWOFOLD_VERSION);
  return kOk;
}

int main_command(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Twofold: a hypervisor for memory overcommit on Linux/KVM", "twofold");
  app.footer(kFooter);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  app.set_help_flag("-h,--help", "Print this help");
  app.add_option("--log-level", arguments.log_level, "Least level of messages shown on stderr")
      ->capture_default_str()
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "critical", "off"}))
      ->type_name("LEVEL");
  app.require_subcommand(1);
  app.fallthrough();  // --log-level may come after the command too
  add_run(app, arguments.run);
  add_walk(app, arguments);
  add_others(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Success is how CLI11 says that help was asked for.
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    const auto unknown = app.get_subcommands().empty() ? app.remaining() : std::vector<std::string>{};
    return complain_of_usage(app, unknown.empty() ? error.what() : fmt::format("no command '{}'", unknown.front()));
  }
  init_log(arguments.log_level);
  return dispatch(app, arguments);
}

}  // namespace

int complain(const std::string& message, int status) {
  fmt::print(stderr, "twofold: error: {}\n", message);
  return status;
}

}  // namespace twofold::cli

// We throw nothing, but the libraries may where memory ends: that too is one line and a status.
int main(int argc, char** argv) {
  twofold::fill_standard_streams();
  try {
    return twofold::cli::main_command(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "twofold: error: %s\n", error.what());
    return twofold::cli::kFailed;
  }
}
