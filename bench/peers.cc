#include "bench/peers.h"

#include <algorithm>

namespace twofold::bench {

std::string built(const std::string& path) {
  return std::string(TWOFOLD_BUILD_DIR) + "/" + path;
}

std::vector<std::string> twofold_command(const Guest& guest) {
  std::vector<std::string> argv = {built("bin/twofold"), "run", guest.kernel, "--memory", guest.memory};
  if (!guest.initrd.empty()) argv.insert(argv.end(), {"--initrd", guest.initrd});
  if (!guest.append.empty()) argv.insert(argv.end(), {"--append", guest.append});
  if (!guest.swap.empty()) argv.insert(argv.end(), {"--disk", guest.swap});
  if (guest.balloon != Balloon::kUnasked) {
    argv.insert(argv.end(), {"--name", guest.control, "--balloon"});
    argv.emplace_back(guest.balloon == Balloon::kReporting ? "on" : "no-reporting");
  }
  return argv;
}

std::vector<std::string> qemu_command(const Guest& guest) {
  // acpi=off: devices are then announced on the command line, as Twofold does it.
  const bool bare = guest.swap.empty() && guest.balloon == Balloon::kUnasked;
  std::vector<std::string> argv = {"/usr/bin/qemu-system-x86_64",
                                   "-M",
                                   bare ? "microvm" : "microvm,acpi=off",
                                   "-accel",
                                   "kvm",
                                   "-cpu",
                                   "host",
                                   "-m",
                                   guest.memory,
                                   "-kernel",
                                   guest.kernel,
                                   "-nodefaults",
                                   "-no-user-config",
                                   "-display",
                                   "none",
                                   "-serial",
                                   "stdio",
                                   "-no-reboot",
                                   "-device",
                                   "isa-debug-exit,iobase=0xf4,iosize=0x04"};
  if (!guest.initrd.empty()) argv.insert(argv.end(), {"-initrd", guest.initrd});
  if (!guest.append.empty()) argv.insert(argv.end(), {"-append", guest.append});
  if (!bare) argv.insert(argv.end(), {"-global", "virtio-mmio.force-legacy=false"});
  if (!guest.swap.empty()) {
    argv.insert(argv.end(),
                {"-drive", "if=none,id=swap,format=raw,file=" + guest.swap, "-device", "virtio-blk-device,drive=swap"});
  }
  if (guest.balloon != Balloon::kUnasked) {
    const std::string reporting = guest.balloon == Balloon::kReporting ? "on" : "off";
    argv.insert(argv.end(), {"-device", "virtio-balloon-device,deflate-on-oom=on,free-page-reporting=" + reporting,
                             "-qmp", "unix:" + guest.control + ",server=on,wait=off"});
  }
  return argv;
}

double percentile(std::vector<double> values, double per_cent) {
  const auto last = static_cast<double>(values.size() - 1);
  const auto nth = static_cast<size_t>(last * per_cent / 100 + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<long>(nth), values.end());
  return values[nth];
}

double median(std::vector<double> values) {
  return percentile(std::move(values), 50);
}

}  // namespace twofold::bench
