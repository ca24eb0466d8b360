// A hostile driver, spelled out by a string of bytes: what the fuzzer feeds, and what unit tests replay.
#pragma once

#include <cstdint>
#include <span>

namespace twofold::testing {

// Plays the script against a virtio-blk device on its transport, over RAM in two ranges and a small disk image. Bounded
// by the script's length. Returns null if all that must hold did hold; else what did not. Afterwards, whatever was
// done:
//  - the image has its size, and its content too if the device is read-only;
//  - a reset and an honest handshake give a device that works;
//  - the honest driver reads back what it writes.
const char* run_virtio_script(std::span<const uint8_t> script);

}  // namespace twofold::testing
