#include "ksm/pool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

namespace ksm {

namespace {

constexpr uint32_t kForEver = UINT32_MAX;  // users

uint64_t offset_of(Slot slot) {
  return uint64_t{slot} * kPageBytes;
}

}  // namespace

std::optional<Pool> Pool::create(uint32_t slots, std::string* error) {
  const auto refuse = [error](const char* what) {
    *error = std::string("cannot make a pool of shared pages: ") + what + ": " + std::system_category().message(errno);
    return std::nullopt;
  };
  Descriptor writer(::memfd_create("ksm-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!writer) return refuse("memfd_create");
  if (::fchmod(writer.get(), S_IRUSR) != 0) return refuse("fchmod");
  if (::ftruncate(writer.get(), static_cast<off_t>(offset_of(slots))) != 0) return refuse("ftruncate");
  // Its size is part of what others rely on. (Not F_SEAL_FUTURE_WRITE: that forbids punching holes, too.)
  if (::fcntl(writer.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return refuse("sealing it");
  const std::string path = "/proc/self/fd/" + std::to_string(writer.get());
  Descriptor reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader) return refuse("opening it for reading");
  void* const view = ::mmap(nullptr, offset_of(slots), PROT_READ, MAP_SHARED, reader.get(), 0);
  if (view == MAP_FAILED) return refuse("mapping it");
  return Pool(std::move(writer), std::move(reader), static_cast<std::byte*>(view), slots);
}

Pool::Pool(Descriptor writer, Descriptor reader, std::byte* view, uint32_t slots)
    : writer_(std::move(writer)), reader_(std::move(reader)), view_(view), users_(slots), filled_(slots) {}

Pool::Pool(Pool&& other) noexcept
    : writer_(std::move(other.writer_)),
      reader_(std::move(other.reader_)),
      view_(std::exchange(other.view_, nullptr)),
      users_(std::move(other.users_)),
      filled_(std::move(other.filled_)),
      filled_count_(other.filled_count_),
      next_(other.next_) {}

Pool::~Pool() {
  if (view_ != nullptr) ::munmap(view_, offset_of(slots()));
}

Slot Pool::fill(const std::byte* page) {
  if (filled_count_ == slots()) return kNoSlot;
  while (filled_[next_]) next_ = (next_ + 1) % slots();
  const Slot slot = next_;
  if (::pwrite(writer_.get(), page, kPageBytes, static_cast<off_t>(offset_of(slot))) != kPageBytes) return kNoSlot;
  filled_[slot] = true;
  ++filled_count_;
  next_ = (next_ + 1) % slots();
  return slot;
}

Page Pool::page(Slot slot) const {
  return Page(view_ + offset_of(slot), kPageBytes);
}

void Pool::add_user(Slot slot) {
  if (users_[slot] < kForEver) ++users_[slot];
}

bool Pool::remove_user(Slot slot) {
  assert(users_[slot] > 0);
  if (users_[slot] == 0 || users_[slot] == kForEver || --users_[slot] > 0) return false;
  discard(slot);
  return true;
}

void Pool::discard(Slot slot) {
  assert(users_[slot] == 0 && filled_[slot]);
  filled_[slot] = false;
  --filled_count_;
  (void)::fallocate(writer_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset_of(slot)),
                    kPageBytes);
}

}  // namespace ksm
