// Any bytes at all as a kernel file: the loader accepts or refuses them, and never reads or writes where it must not.
// It includes libelf, which meets files just as hostile.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "vmm/base/log.h"
#include "vmm/base/size.h"
#include "vmm/boot/load.h"
#include "vmm/memory/layout.h"

using namespace twofold;

namespace {

// What must hold of every kernel that is accepted.
void check(const GuestMemory& memory, const BootState& state) {
  bool entry_inside = false;
  for (const GpaRange& range : state.kernel) {
    if (memory.at(range.base, range.bytes).size() != range.bytes) std::abort();
    entry_inside = entry_inside || range.contains(Gpa{state.eip});
    if (state.initrd && state.initrd->overlaps(range)) std::abort();
  }
  for (size_t i = 1; i < state.kernel.size(); ++i) {
    if (state.kernel[i - 1].overlaps(state.kernel[i])) std::abort();
  }
  if (!entry_inside || !state.initrd || memory.at(Gpa{state.ebx}, 1).empty()) std::abort();
}

BootFile file_of(const char* what, const uint8_t* data, size_t size) {
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  if (::write(fd.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  auto file = BootFile::adopt(what, "fuzzed", std::move(fd));
  if (!file) std::abort();
  return std::move(*file);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  init_log("off");
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // RAM on both sides of the hole, so that addresses beyond 4 GiB are met as well; only what is touched costs memory.
  static const GuestMemory memory = std::move(*GuestMemory::create(layout::kHole + 64 * MiB, layout::kHole));
  static const BootFile initrd = file_of("initrd", reinterpret_cast<const uint8_t*>("initrd"), 6);
  const BootFile kernel = file_of("kernel", data, size);
  const auto state = load_kernel_file(memory, kernel, &initrd, {});
  if (state) check(memory, *state);
  // One line that names the file, whatever was wrong with it.
  if (!state && (state.error().message.find("'fuzzed'") == std::string::npos ||
                 state.error().message.find('\n') != std::string::npos)) {
    std::fprintf(stderr, "bad message: %s\n", state.error().message.c_str());
    std::abort();
  }
  return 0;
}
