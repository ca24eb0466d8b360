// What the side-by-side runs share: how each peer is started with the same guest, and medians.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace twofold::bench {

// Which balloon a guest gets: none that anybody asked for, one that is steered, or one that reports free pages, too.
enum class Balloon : uint8_t { kUnasked, kSteered, kReporting };

struct Guest {
  std::string kernel;
  std::string initrd{};  // empty: none
  std::string append{};  // the command line
  std::string swap{};    // a raw image for the first virtio-blk disk; empty: no disk
  std::string memory = "64M";
  Balloon balloon = Balloon::kUnasked;
  std::string control{};  // with a balloon: the VM's name on Twofold, the path of the QMP socket on QEMU
};

// argv of Twofold and of the leanest QEMU there is: microvm, no default devices, no configuration files.
std::vector<std::string> twofold_command(const Guest& guest);
std::vector<std::string> qemu_command(const Guest& guest);

struct Peer {
  const char* name;
  std::vector<std::string> (*command)(const Guest& guest);
};
inline constexpr Peer kTwofold = {"twofold", twofold_command};
inline constexpr Peer kQemu = {"qemu_microvm", qemu_command};

// Files of the build, by their path below its directory.
std::string built(const std::string& path);

// The value below which `per_cent` of the values lie; the median is at 50. REQUIRES: not empty
double percentile(std::vector<double> values, double per_cent);
double median(std::vector<double> values);

}  // namespace twofold::bench
