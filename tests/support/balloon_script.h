// A hostile balloon driver, spelled out by a string of bytes: what the fuzzer feeds, and what unit tests replay.
#pragma once

#include <cstdint>
#include <span>

namespace twofold::testing {

// Plays the script against a virtio-balloon device on its transport, over RAM in two ranges. Bounded by the script's
// length. Returns null if all that must hold did hold; else what did not. Whatever was done:
//  - the device says of the balloon what the frames' states add up to;
//  - a reset empties it, and an honest handshake gives a device that works;
//  - an honest inflate gives up that page and no other.
const char* run_balloon_script(std::span<const uint8_t> script);

}  // namespace twofold::testing
