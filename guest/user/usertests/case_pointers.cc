// Every system call that takes a pointer, given every kind of bad one: -kEFault, and nothing else happens.
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

// Pages to point at. Each case makes its own, as they move with the heap.
struct Places {
  uint8_t* good;      // two pages of heap, touched
  uint32_t hole;      // the page after the heap's last: unmapped
  uint32_t last_two;  // two bytes before the hole
};

Places make_places() {
  uint8_t* good = reserve_pages(2);
  memset(good, 0xee, 2 * kPageSize);
  const uint32_t hole = address_of(good) + 2 * kPageSize;
  return Places{good, hole, hole - 2};
}

constexpr uint32_t kBadCount = 15;
struct BadAddresses {
  uint32_t list[kBadCount];
};

// Addresses at which not even one byte may be written.
BadAddresses bad_targets(const Places& places) {
  return BadAddresses{{
      0,
      1,
      kUserTextBase - 1,
      kUserTextBase,  // own text: there, but read-only
      places.hole,
      0x40000000,
      kUserTop - kUserStackMax - 1,
      kUserTop,
      kKernBase + 0x1000,
      kKernBase + 0x100000,  // the kernel's text
      kKernBase + 0x800000,  // the direct map
      0xfec00000,            // the I/O APIC, if the kernel maps it
      0xfee00000,
      0xfffff000,
      UINT32_MAX,
  }};
}

template <typename Type>
Type* pointer(uint32_t address) {
  return reinterpret_cast<Type*>(address);
}

// Fails the case unless `call(address)` says -kEFault for each bad target.
template <typename Call>
void refuses_bad_targets(const Place& place, const Places& places, Call call) {
  for (const uint32_t address : bad_targets(places).list) {
    const int32_t result = call(address);
    if (result == -kEFault) continue;
    print("       with %p:\n", pointer<void>(address));
    fail_values(place, static_cast<uint32_t>(result), static_cast<uint32_t>(-kEFault));
  }
}

#define CHECK_REFUSES(places, call) refuses_bad_targets(PLACE(#call), places, [&](uint32_t address) { return call; })

void read_targets() {
  const Places places = make_places();
  const int32_t fd = open("/bin/echo", kOpenRead);
  CHECK_REFUSES(places, read(fd, pointer<char>(address), 16));
  char first = 0;
  CHECK_EQ(read(fd, &first, 1), 1);
  CHECK_EQ(first, 0x7f);  // the refused reads have not moved the offset
  const int32_t folder = open("/", kOpenRead);
  CHECK_REFUSES(places, read(folder, pointer<char>(address), sizeof(Dirent)));
  const Pipe pipe = make_pipe();
  CHECK_EQ(write(pipe.writer, "x", 1), 1);
  CHECK_REFUSES(places, read(pipe.reader, pointer<char>(address), 1));
  await(pipe.reader);  // and the byte is still there
}

void result_targets() {
  const Places places = make_places();
  CHECK_REFUSES(places, fstat(0, pointer<Stat>(address)));
  CHECK_REFUSES(places, memstat(pointer<MemStat>(address), sizeof(MemStat)));
  CHECK_REFUSES(places, procs(pointer<ProcInfo>(address), 1));
  CHECK_REFUSES(places, procs(pointer<ProcInfo>(address), UINT32_MAX / sizeof(ProcInfo) + 2));
  CHECK_REFUSES(places, cmdline(pointer<char>(address), 1));
  CHECK_REFUSES(places, pipe(pointer<int32_t>(address)));
  CHECK_EQ(count_open_files(), 3);
}

void wait_targets() {
  const Places places = make_places();
  const int32_t pid = start([] { ulib::exit(9); });
  CHECK(reaches_state(pid, kProcZombie));
  for (const uint32_t address : bad_targets(places).list) {
    if (address != 0) CHECK_EQ(wait(pointer<int32_t>(address)), -kEFault);
  }
  CHECK_EQ(status_of_pid(pid), 9);
}

// Sources may be read-only, so text is a good one.
void write_sources() {
  const Places places = make_places();
  const Pipe pipe = make_pipe();
  for (const uint32_t address : bad_targets(places).list) {
    if (address != kUserTextBase) CHECK_EQ(write(pipe.writer, pointer<char>(address), 1), -kEFault);
  }
  CHECK_EQ(write(pipe.writer, pointer<char>(kUserTextBase), 4), 4);
  char text[4];
  CHECK_EQ(read(pipe.reader, text, sizeof(text)), 4);
  CHECK_EQ(memcmp(text, pointer<char>(kUserTextBase), 4), 0);
  CHECK_EQ(write(kStdout, pointer<char>(kKernBase + 0x100000), 100), -kEFault);
}

void paths() {
  const Places places = make_places();
  const char* const argv[] = {"x", nullptr};
  for (const uint32_t address : bad_targets(places).list) {
    if (address == kUserTextBase) continue;
    CHECK_EQ(open(pointer<char>(address), kOpenRead), -kEFault);
    CHECK_EQ(exec(pointer<char>(address), argv), -kEFault);
  }
  // A string that runs off the end of memory.
  memset(pointer<char>(places.last_two), 'x', 2);
  CHECK_EQ(open(pointer<char>(places.last_two), kOpenRead), -kEFault);
  CHECK_EQ(exec(pointer<char>(places.last_two), argv), -kEFault);
  // One that ends with the last byte of memory.
  copy(pointer<char>(places.last_two), 2, "/");
  CHECK(open(pointer<char>(places.last_two), kOpenRead) >= 0);
  // And one across two pages.
  copy(pointer<char>(address_of(places.good) + kPageSize - 4), 16, "/etc/motd");
  CHECK(open(pointer<char>(address_of(places.good) + kPageSize - 4), kOpenRead) >= 0);
}

void exec_argument_arrays() {
  const Places places = make_places();
  for (const uint32_t address : bad_targets(places).list) {
    if (address == kUserTextBase) continue;  // what lies there is no array, but readable
    CHECK_EQ(exec("/bin/echo", pointer<const char*>(address)), -kEFault);
    const char* const argv[] = {"echo", pointer<const char>(address), nullptr};
    if (address != 0) CHECK_EQ(exec("/bin/echo", argv), -kEFault);  // 0 ends the array
  }
  memset(pointer<char>(places.last_two), 'x', 2);
  const char* const endless[] = {"echo", pointer<const char>(places.last_two), nullptr};
  CHECK_EQ(exec("/bin/echo", endless), -kEFault);
  // An array that the hole cuts: its last good word is no null.
  auto** cut = pointer<const char*>(places.hole - sizeof(char*));
  *cut = "echo";
  CHECK_EQ(exec("/bin/echo", cut), -kEFault);
}

// Good at their start, bad at their end.
void ranges_that_end_badly() {
  const Places places = make_places();
  const int32_t fd = open("/bin/echo", kOpenRead);
  const Pipe pipe = make_pipe();
  auto* tail = pointer<char>(places.last_two);
  CHECK_EQ(fstat(0, pointer<Stat>(places.last_two)), -kEFault);
  CHECK_EQ(memstat(pointer<MemStat>(places.last_two), sizeof(MemStat)), -kEFault);
  CHECK_EQ(usertests::pipe(pointer<int32_t>(places.hole - 4)), -kEFault);
  CHECK_EQ(count_open_files(), 6);
  CHECK_EQ(procs(pointer<ProcInfo>(places.hole - sizeof(ProcInfo)), 2), -kEFault);
  // Files and pipes may stop short at the hole, or refuse; they must not claim more than there is room for.
  const int32_t got = read(fd, tail, 100);
  CHECK(got == -kEFault || got == 2);
  const int32_t sent = write(pipe.writer, tail, 100);
  CHECK(sent == -kEFault || sent == 2);
}

void sizes_that_wrap() {
  const Places places = make_places();
  const int32_t fd = open("/bin/echo", kOpenRead);
  const Pipe pipe = make_pipe();
  const uint32_t sizes[] = {0x80000000, 0xfffff000, UINT32_MAX, 0U - address_of(places.good)};
  for (const uint32_t size : sizes) {
    CHECK_EQ(write(pipe.writer, places.good, size), -kEInval);
    CHECK_EQ(read(fd, places.good, size), -kEInval);
  }
  for (uint32_t i = 0; i < 2 * kPageSize; ++i) CHECK_EQ(places.good[i], 0xee);
}

// More than there is: what is there goes, up to the hole and no further.
void sizes_past_the_end() {
  const Places places = make_places();
  const int32_t got = read(open("/bin/usertests", kOpenRead), places.good, INT32_MAX);
  CHECK(got == -kEFault || got == static_cast<int32_t>(2 * kPageSize));
  const Pipe pipe = make_pipe();
  const int32_t reader = start([&] {
    close(pipe.writer);
    char buffer[512];
    while (read(pipe.reader, buffer, sizeof(buffer)) > 0) {
    }
  });
  const int32_t sent = write(pipe.writer, places.good, INT32_MAX);
  CHECK(sent == -kEFault || sent == static_cast<int32_t>(2 * kPageSize));
  close_pipe(pipe);
  CHECK_EQ(status_of_pid(reader), 0);
}

// The last bytes below the kernel are stack; the next are not.
void top_of_user_memory() {
  const Pipe pipe = make_pipe();
  CHECK_EQ(write(pipe.writer, pointer<char>(kUserTop - 2), 2), 2);
  CHECK_EQ(fstat(0, pointer<Stat>(kUserTop - 2)), -kEFault);
  CHECK_EQ(memstat(pointer<MemStat>(kUserTop - 4), 8), -kEFault);
  CHECK_EQ(memstat(pointer<MemStat>(kUserTop - 4), 4), 4);
}

// Buffers that no one has touched yet are filled as if the program had touched them.
void untouched_targets() {
  uint8_t* fresh = reserve_pages(3);
  CHECK_EQ(read(open("/bin/usertests", kOpenRead), fresh + 100, 2 * kPageSize), 2 * kPageSize);
  CHECK_EQ(fresh[100], 0x7f);
  CHECK_EQ(fresh[99], 0);
  uint8_t* other = reserve_pages(1);
  CHECK_EQ(fstat(0, reinterpret_cast<Stat*>(other)), 0);
  const Pipe pipe = make_pipe();
  CHECK_EQ(write(pipe.writer, reserve_pages(1), 8), 8);
  uint8_t bytes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  CHECK_EQ(read(pipe.reader, bytes, 8), 8);
  for (const uint8_t byte : bytes) CHECK_EQ(byte, 0);
  // The stack too: far below what it has used so far.
  auto* deep = pointer<char>(kUserTop - kUserStackMax / 2);
  CHECK_EQ(read(open("/bin/echo", kOpenRead), deep, 4), 4);
  CHECK_EQ(deep[0], 0x7f);
}

const Case kCases[] = {
    {"read_targets", read_targets},
    {"result_targets", result_targets},
    {"wait_targets", wait_targets},
    {"write_sources", write_sources},
    {"paths", paths},
    {"exec_argument_arrays", exec_argument_arrays},
    {"ranges_that_end_badly", ranges_that_end_badly},
    {"sizes_that_wrap", sizes_that_wrap},
    {"sizes_past_the_end", sizes_past_the_end},
    {"top_of_user_memory", top_of_user_memory},
    {"untouched_targets", untouched_targets},
};

}  // namespace

Section pointers_section() {
  return section("pointers", kCases);
}

}  // namespace usertests
