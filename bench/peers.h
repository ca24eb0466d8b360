// What the side-by-side runs share: how each peer is started with the same guest, and medians.
#pragma once

#include <string>
#include <vector>

namespace twofold::bench {

struct Guest {
  std::string kernel;
  std::string initrd{};  // empty: none
  std::string append{};  // the command line
  std::string swap{};    // a raw image for the first virtio-blk disk; empty: no disk
  std::string memory = "64M";
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

// REQUIRES: not empty
double median(std::vector<double> values);

}  // namespace twofold::bench
