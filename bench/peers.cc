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
  return argv;
}

std::vector<std::string> qemu_command(const Guest& guest) {
  // acpi=off: the disk is then announced on the command line, as Twofold does it.
  std::vector<std::string> argv = {"/usr/bin/qemu-system-x86_64",
                                   "-M",
                                   guest.swap.empty() ? "microvm" : "microvm,acpi=off",
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
  if (!guest.swap.empty()) {
    argv.insert(argv.end(),
                {"-global", "virtio-mmio.force-legacy=false", "-drive", "if=none,id=swap,format=raw,file=" + guest.swap,
                 "-device", "virtio-blk-device,drive=swap"});
  }
  return argv;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace twofold::bench
