// What a VM and the host service say to each other about pages (docs/ksm.md). One message a packet of a SOCK_SEQPACKET
// Unix socket; a VM asks and waits for the answer, so no more than one is on its way. Numbers are the machine's own:
// both ends are on one machine, and of one version.
//
//   VM                              service
//   hello: frames, domain      ──▶
//                              ◀──  welcome: key, slots; descriptors of the pool (read-only) and of a staging file
//   ask: questions             ──▶
//                              ◀──  answer: a reply for each, and notices
//   supply: questions,         ──▶  (their pages lie in the staging file, in that order)
//                              ◀──  answer
//   give back: slots           ──▶  (no answer)
//
// The service closes the connection of a VM that says anything else.
#pragma once

#include <cstdint>

#include "ksm/frames.h"
#include "ksm/membership.h"

namespace twofold::share {

inline constexpr uint32_t kMagic = 0x32'6c'64'66;
inline constexpr uint16_t kVersion = 1;
inline constexpr uint32_t kMaxBatch = 512;       // questions, notices or slots in a message
inline constexpr uint32_t kStagingPages = 64;    // and so questions in a supply
inline constexpr uint64_t kMaxFrames = 1 << 24;  // of a VM: 64 GiB
inline constexpr uint32_t kMaxName = 64;         // of a domain, with its NUL
inline constexpr uint32_t kMaxMessage = 64 * 1024;

enum class Kind : uint16_t { kHello = 1, kWelcome, kAsk, kSupply, kAnswer, kGiveBack };

struct Header {
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  Kind kind = Kind::kHello;
  uint32_t count = 0;    // of what follows
  uint32_t notices = 0;  // in an answer: proposals behind the replies
};

struct Hello {
  Header header;
  uint64_t frames = 0;
  char domain[kMaxName] = {};
};

struct Welcome {
  Header header;
  uint64_t key = 0;
  uint32_t slots = 0;
  uint32_t reserved = 0;
};

// ask and supply: Header, then `count` of ksm::Question; give back: Header, then `count` of ksm::Slot; answer: Header,
// then `count` of these, then `notices` of ksm::Proposal.
struct Reply {
  ksm::Slot slot = ksm::kNoSlot;
  uint32_t wanted = 0;  // supply the page
};

}  // namespace twofold::share
