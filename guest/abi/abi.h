// The contract between the guest kernel, its user programs, and the hypervisor's inspector.
//
// Included by all three, 32-bit and 64-bit alike, so every struct has fixed-width members and no padding.
// A system call is `int $kSyscallVector` with the number in EAX and arguments in EBX, ECX, EDX, ESI; the
// result comes back in EAX: zero or more on success, a negated Errno on failure.
#pragma once

#include <stdint.h>

namespace guest_abi {

constexpr uint32_t kPageSize = 4096;
constexpr uint32_t kKernBase = 0x80000000;      // kernel half: direct map of RAM starts here
constexpr uint32_t kUserTextBase = 0x00001000;  // page 0 is never mapped, so that a null pointer faults
constexpr uint32_t kUserTop = kKernBase;        // the user stack grows down from here
constexpr uint32_t kSyscallVector = 0x40;

enum Syscall : uint32_t {
  kSysFork = 1,  // () -> child's pid in the parent, 0 in the child
  kSysExec,      // (path, argv: null-terminated array) -> does not return on success
  kSysExit,      // (status) -> does not return
  kSysWait,      // (int* status or null) -> pid of a reaped child, -kEChild if none; -kEFault reaps nothing
  kSysKill,      // (pid) -> 0; the victim exits with status kKilledStatus. -kENoent: none, or a zombie; -kEInval: pid 1
  kSysGetpid,    // ()
  kSysSbrk,      // (delta bytes) -> the old break; memory comes zeroed on first touch
  kSysSleep,     // (ticks) -> 0 after at least that many timer ticks
  kSysUptime,    // () -> timer ticks since boot
  kSysOpen,      // (path, flags) -> fd
  kSysRead,      // (fd, buf, n) -> bytes; 0 at the end; directories yield whole Dirents
  kSysWrite,     // (fd, buf, n) -> bytes
  kSysClose,     // (fd)
  kSysDup,       // (fd) -> lowest free fd
  kSysPipe,      // (int fds[2]) -> fds[0] reads, fds[1] writes
  kSysFstat,     // (fd, Stat*)
  kSysMemstat,   // (MemStat*, sizeof) -> bytes filled; grows at its end only
  kSysProcs,     // (ProcInfo*, max) -> processes written
  kSysShutdown,  // (value) -> writes value to the debug-exit port; does not return
  kSysCmdline,   // (buf, n) -> length of the kernel command line; copies min(n, length + 1) bytes, its NUL included
  kSysAudit,     // () -> how many of the kernel's accounts of memory do not add up: 0, or there is a bug
  kSyscallCount,
};

enum Errno : int32_t {
  kENoent = 2,  // no such file, or no such process
  kEIo = 5,
  kE2Big = 7,
  kENoexec = 8,
  kEBadf = 9,
  kEChild = 10,
  kEAgain = 11,  // out of processes
  kENomem = 12,
  kEFault = 14,
  kENotdir = 20,
  kEIsdir = 21,
  kEInval = 22,
  kEMfile = 24,
  kERofs = 30,
  kEPipe = 32,
  kENosys = 38,
};

enum OpenFlag : uint32_t { kOpenRead = 0, kOpenWrite = 1, kOpenReadWrite = 2 };

enum FileType : uint32_t { kFileRegular = 1, kFileDirectory = 2, kFileDevice = 3, kFilePipe = 4 };

struct Stat {
  uint32_t type;  // FileType
  uint32_t ino;
  uint32_t size;  // bytes
};

struct Dirent {
  uint32_t type;  // FileType
  uint32_t size;  // bytes
  char name[56];  // NUL-terminated
};

// Pages unless a name says otherwise. Counters run from boot.
struct MemStat {
  uint32_t total;  // all RAM that the allocator was ever given
  uint32_t free;
  uint32_t kernel;         // kernel image, kernel stacks and tables
  uint32_t page_table;     // page directories and page tables of processes
  uint32_t user;           // frames that processes map, each counted once
  uint32_t user_shared;    // of those, mapped more than once (copy-on-write after fork)
  uint32_t faults_zero;    // demand-zero faults served
  uint32_t faults_cow;     // copy-on-write faults served, by copy or by taking the last reference
  uint32_t faults_killed;  // faults that ended a process
  uint32_t ticks_per_second;
  uint32_t cache;       // frames in the swap cache that no process maps
  uint32_t swap_total;  // page slots on the swap disk; 0: no swap
  uint32_t swap_used;
  uint32_t faults_file;      // pages of programs' files brought in
  uint32_t faults_cache;     // pages found in the swap cache: minor faults, as all above
  uint32_t faults_swap;      // pages waited for from the swap disk: the major faults
  uint32_t swap_ins;         // pages read
  uint32_t swap_outs;        // pages written
  uint32_t read_ahead;       // of swap_ins: read with a neighbour, before anybody asked
  uint32_t read_ahead_used;  // of those: asked for later
  uint32_t swap_errors;      // requests that the disk has failed
  uint32_t scanned;          // pages that reclaim has looked at
  uint32_t dropped;          // clean pages that it gave up without a write
  uint32_t stalls;           // times that a process had to reclaim by itself
  uint32_t oom_kills;
  uint32_t free_min;     // watermarks: at min programs reclaim by themselves, …
  uint32_t free_low;     // … below low the reclaim thread wakes, …
  uint32_t free_high;    // … and works until high
  uint32_t balloon;      // frames in the hypervisor's balloon
  uint32_t balloon_oom;  // frames taken back from it because there were no others, ever
  uint32_t reported;     // free frames that the hypervisor was told of, ever
};

enum ProcState : uint32_t { kProcUnused, kProcEmbryo, kProcSleeping, kProcRunnable, kProcRunning, kProcZombie };

struct ProcInfo {
  int32_t pid;
  int32_t parent;
  uint32_t state;     // ProcState
  uint32_t resident;  // pages mapped in user space; 0: a zombie, or a thread of the kernel's
  uint32_t cr3;
  uint32_t ticks;  // timer ticks spent running
  char name[16];
  uint32_t swapped;  // pages on the swap disk
};

constexpr int32_t kKilledStatus = -1;  // what wait() reports of a process that kill or a fault ended

// Values for the debug-exit port; the VMM's exit status is (value << 1) | 1, as QEMU's isa-debug-exit has it.
constexpr uint16_t kDebugExitPort = 0xf4;
constexpr uint32_t kVerdictPass = 0x10;   // status 33
constexpr uint32_t kVerdictFail = 0x11;   // status 35
constexpr uint32_t kVerdictPanic = 0x12;  // status 37

// --- How a program starts -------------------------------------------------------------------------------
// exec enters at the ELF's e_entry with ESP 16-byte aligned and pointing at the System V i386 layout: argc, then
// argv[0..argc-1], then a null pointer; the strings lie above it. All other general registers are zero. There is no
// environment. The first process starts without open files; fork and exec keep those that are open.
// Programs are ELF32 ET_EXEC; segments lie in [kUserTextBase, kUserTop - kUserStackMax); segments without PF_W are
// mapped read-only. The heap starts at the page after the last segment. There is no x87, MMX or SSE.
constexpr uint32_t kUserStackMax = 0x100000;  // bytes; the stack grows lazily down to kUserTop - kUserStackMax
constexpr uint32_t kMaxFiles = 16;            // open files of a process
constexpr uint32_t kMaxPath = 128;            // bytes with the NUL; longer paths give -kENoent
constexpr uint32_t kMaxArgs = 32;             // arguments of exec; more, or more than kMaxArgBytes, give -kE2Big
constexpr uint32_t kMaxArgBytes = 2048;       // bytes of all argument strings with their NULs

// --- What the hypervisor may look at, but never relies on ---------------------------------------------
// The kernel's ELF carries a note (owner kInspectNoteName, type kInspectNoteType) whose 4-byte descriptor is
// the guest-physical address of an InspectTable. The guest keeps it current; a reader bounds everything.
constexpr char kInspectNoteName[] = "Twofold";
constexpr uint32_t kInspectNoteType = 1;
constexpr uint32_t kInspectMagic = 0x464f5754;  // "TWOF"
constexpr uint32_t kInspectVersion = 1;
constexpr uint32_t kMaxProcs = 64;

struct InspectEntry {
  int32_t pid;   // 0: the entry is free
  uint32_t cr3;  // guest-physical address of the page directory
  char name[16];
};

struct InspectTable {
  uint32_t magic;
  uint32_t version;
  uint32_t count;  // entries that follow: kMaxProcs
  uint32_t entry_size;
  InspectEntry entries[kMaxProcs];
};

static_assert(sizeof(Dirent) == 64 && sizeof(ProcInfo) == 44 && sizeof(InspectEntry) == 24 && sizeof(MemStat) == 124);

}  // namespace guest_abi
