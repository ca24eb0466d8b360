// Processor state at the border: vectors, selectors, flags and registers that a hostile program can bring along.
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

constexpr uint32_t kFlagTrap = 1U << 8;
constexpr uint32_t kFlagInterrupt = 1U << 9;
constexpr uint32_t kFlagDirection = 1U << 10;
constexpr uint32_t kFlagIoPrivilege = 3U << 12;
constexpr uint32_t kFlagNested = 1U << 14;
constexpr uint32_t kFlagAlignment = 1U << 18;

uint32_t read_flags() {
  uint32_t flags;
  asm volatile("pushfl; popl %0" : "=r"(flags));
  return flags;
}

void write_flags(uint32_t flags) {
  asm volatile("pushl %0; popfl" ::"r"(flags) : "memory", "cc");
}

// Only the system call vector is a program's to call.
void kernel_vectors() {
  CHECK_KILLED(asm volatile("int $0x00"));
  CHECK_KILLED(asm volatile("int $0x01"));
  CHECK_KILLED(asm volatile("int $0x02"));
  CHECK_KILLED(asm volatile("int $0x06"));
  CHECK_KILLED(asm volatile("int $0x08"));
  CHECK_KILLED(asm volatile("int $0x0d"));
  CHECK_KILLED(asm volatile("int $0x0e"));
  CHECK_KILLED(asm volatile("int $0x20"));
  CHECK_KILLED(asm volatile("int $0x21"));
  CHECK_KILLED(asm volatile("int $0x30"));
  CHECK_KILLED(asm volatile("int $0x3f"));
  CHECK_KILLED(asm volatile("int $0x41"));
  CHECK_KILLED(asm volatile("int $0x80"));
  CHECK_KILLED(asm volatile("int $0xf0"));
  CHECK_KILLED(asm volatile("int $0xff"));
}

void exceptions() {
  uint32_t bounds[2] = {5, 6};
  CHECK_KILLED(asm volatile("xorl %%edx, %%edx; xorl %%ecx, %%ecx; movl $1, %%eax; divl %%ecx" ::
                                : "eax", "ecx", "edx"));
  CHECK_KILLED(asm volatile("int3"));
  CHECK_KILLED(asm volatile("movb $0x7f, %%al; addb $1, %%al; into" ::: "eax", "cc"));
  CHECK_KILLED(asm volatile("boundl %0, %1" ::"r"(1), "m"(bounds)));
  CHECK_KILLED(asm volatile("ud2"));
}

// There is no x87 or SSE state to save, so nobody may make any. (EMMS is left out: QEMU 7.2's emulation lets it pass.)
void no_floating_point() {
  CHECK_KILLED(asm volatile("fninit"));
  CHECK_KILLED(asm volatile("fld1"));
  CHECK_KILLED(asm volatile("movq %mm0, %mm1"));
  CHECK_KILLED(asm volatile("xorps %xmm0, %xmm0"));
  CHECK_KILLED(asm volatile("movaps %xmm0, %xmm1"));
}

void fast_system_calls_are_off() {
  CHECK_KILLED(asm volatile("movl $6, %%eax; sysenter" ::: "eax", "ecx", "edx"));
  CHECK_KILLED(asm volatile("movl $6, %%eax; syscall" ::: "eax", "ecx", "edx"));
}

// Selectors of the kernel's own segments, of the TSS, and past the table's end.
void kernel_selectors() {
  for (uint32_t selector = 8; selector < 0x100; selector += 8) {
    uint32_t rights = 0;
    bool visible = false;
    asm volatile("larl %2, %0; setz %1" : "=r"(rights), "=q"(visible) : "r"(selector) : "cc");
    const bool user_level = visible && ((rights >> 13) & 3) == 3;
    if (user_level) continue;
    CHECK_KILLED(asm volatile("movw %w0, %%ds" ::"r"(selector)));
    CHECK_KILLED(asm volatile("movw %w0, %%ss" ::"r"(selector)));
    CHECK_KILLED(asm volatile("pushl %0; pushl $0x80100000; lret" ::"r"(selector) : "memory"));
  }
}

void far_return_to_ring_0() {
  CHECK_KILLED(asm volatile("pushfl; pushl $0x08; pushl $0x80100000; iretl" ::: "memory"));
  CHECK_KILLED(asm volatile("pushfl; pushl $0x08; pushl $1f; iretl; 1:" ::: "memory"));
}

// popf silently keeps IF and IOPL from a program: interrupts go on, and ports stay closed.
void flags_that_are_not_a_programs() {
  write_flags(read_flags() & ~kFlagInterrupt);
  CHECK((read_flags() & kFlagInterrupt) != 0);
  write_flags(read_flags() | kFlagIoPrivilege);
  CHECK_EQ(read_flags() & kFlagIoPrivilege, 0);
  CHECK_KILLED(write_flags(read_flags() | kFlagIoPrivilege); asm volatile("cli"));
}

void single_stepping() {
  CHECK_KILLED(write_flags(read_flags() | kFlagTrap); asm volatile("nop; nop"));
}

// A system call with TF set, as its trap would come inside the kernel.
void single_step_into_a_call() {
  CHECK_KILLED(asm volatile("movl $6, %%eax; pushfl; orl $0x100, (%%esp); popfl; int $0x40; nop" ::: "eax", "memory"));
}

void nested_task_flag() {
  write_flags(read_flags() | kFlagNested);
  const int32_t pid = getpid();
  CHECK(pid > 0);
  CHECK_KILLED(write_flags(read_flags() | kFlagNested); asm volatile("iretl"));
}

// The kernel's string instructions must run forwards even if the program has turned them around.
void backward_strings() {
  const int32_t fd = open("/bin/echo", kOpenRead);
  static uint8_t buffer[3 * 256];
  memset(buffer, 0xee, sizeof(buffer));
  int32_t result = static_cast<int32_t>(kSysRead);
  uint32_t flags = 0;
  asm volatile("std; int $0x40; pushfl; popl %1; cld"
               : "+a"(result), "=&r"(flags)
               : "b"(fd), "c"(buffer + 256), "d"(256)
               : "memory", "cc");
  CHECK_EQ(result, 256);
  CHECK((flags & kFlagDirection) != 0);  // and the program's flag comes back
  CHECK_EQ(memcmp(buffer + 256, "\177ELF", 4), 0);
  for (uint32_t i = 0; i < 256; ++i) CHECK(buffer[i] == 0xee && buffer[512 + i] == 0xee);
}

void alignment_check() {
  alignas(4) uint8_t bytes[8] = {};
  CHECK_CHILD({
    write_flags(read_flags() | kFlagAlignment);
    CHECK(getpid() > 0);
    CHECK(memory().total > 0);
    write_flags(read_flags() & ~kFlagAlignment);
  });
  // With CR0.AM the access faults; without, the flag means nothing. Either way the kernel lives.
  const int32_t status = status_of([&] {
    write_flags(read_flags() | kFlagAlignment);
    asm volatile("movl 1(%0), %%eax" ::"r"(bytes) : "eax");
    write_flags(read_flags() & ~kFlagAlignment);
  });
  CHECK(status == 0 || status == kKilledStatus);
}

// Data selectors that the program has emptied: the kernel must load its own.
void null_selectors() {
  int32_t result = static_cast<int32_t>(kSysGetpid);
  asm volatile(
      "pushl %%ds; pushl %%es; xorl %%ecx, %%ecx; movl %%ecx, %%ds; movl %%ecx, %%es; movl %%ecx, %%fs;"
      "movl %%ecx, %%gs; int $0x40; popl %%es; popl %%ds"
      : "+a"(result)
      :
      : "ecx", "memory", "cc");
  CHECK_EQ(result, getpid());
}

// The kernel has a stack of its own: the program's may be anywhere.
void stack_pointer_is_not_used() {
  const uint32_t pointers[] = {0, 1, 0x40000000, kKernBase, kKernBase + 0x100000, 0xfffffffc};
  for (const uint32_t pointer : pointers) {
    int32_t result = static_cast<int32_t>(kSysGetpid);
    asm volatile("movl %%esp, %%edi; movl %1, %%esp; int $0x40; movl %%edi, %%esp"
                 : "+a"(result)
                 : "r"(pointer)
                 : "edi", "memory", "cc");
    CHECK_EQ(result, getpid());
  }
}

// Runs `body` with known values in the registers, and checks that they are the same after it.
bool registers_survive(uint32_t call, uint32_t argument) {
  uint32_t wrong = 0;
  asm volatile(
      "pushl %%ebp; movl $0x11112222, %%ecx; movl $0x33334444, %%edx; movl $0x55556666, %%esi;"
      "movl $0x77778888, %%edi; movl $0x9999aaaa, %%ebp; int $0x40;"
      "xorl $0x11112222, %%ecx; xorl $0x33334444, %%edx; xorl $0x55556666, %%esi;"
      "xorl $0x77778888, %%edi; xorl $0x9999aaaa, %%ebp;"
      "orl %%edx, %%ecx; orl %%esi, %%ecx; orl %%edi, %%ecx; orl %%ebp, %%ecx; popl %%ebp"
      : "+a"(call), "=&c"(wrong), "+b"(argument)
      :
      : "edx", "esi", "edi", "memory", "cc");
  return wrong == 0;
}

void registers_survive_calls() {
  CHECK(registers_survive(kSysGetpid, 0));
  CHECK(registers_survive(kSysSleep, 3));
  CHECK(registers_survive(0xffff, 0));
}

// The same through interrupts: for several ticks nothing but a loop that compares.
void registers_survive_interrupts() {
  const int32_t rival = start([] {
    for (;;) asm volatile("movl $1, %%ecx; movl $2, %%edx; movl $3, %%esi" ::: "ecx", "edx", "esi");
  });
  const uint32_t begin = uptime_ticks();
  uint32_t wrong = 0;
  while (uptime_ticks() - begin < 8 && wrong == 0) {
    asm volatile(
        "movl $0x11112222, %%ecx; movl $0x33334444, %%edx; movl $0x55556666, %%esi; movl $100000, %%eax;"
        "1: cmpl $0x11112222, %%ecx; jne 2f; cmpl $0x33334444, %%edx; jne 2f; cmpl $0x55556666, %%esi; jne 2f;"
        "decl %%eax; jnz 1b; xorl %0, %0; jmp 3f; 2: movl $1, %0; 3:"
        : "=&r"(wrong)
        :
        : "eax", "ecx", "edx", "esi", "cc");
  }
  CHECK_EQ(wrong, 0);
  CHECK_EQ(kill(rival), 0);
  CHECK_EQ(status_of_pid(rival), kKilledStatus);
}

const Case kCases[] = {
    {"kernel_vectors", kernel_vectors},
    {"exceptions", exceptions},
    {"no_floating_point", no_floating_point},
    {"fast_system_calls_are_off", fast_system_calls_are_off},
    {"kernel_selectors", kernel_selectors},
    {"far_return_to_ring_0", far_return_to_ring_0},
    {"flags_that_are_not_a_programs", flags_that_are_not_a_programs},
    {"single_stepping", single_stepping},
    {"single_step_into_a_call", single_step_into_a_call},
    {"nested_task_flag", nested_task_flag},
    {"backward_strings", backward_strings},
    {"alignment_check", alignment_check},
    {"null_selectors", null_selectors},
    {"stack_pointer_is_not_used", stack_pointer_is_not_used},
    {"registers_survive_calls", registers_survive_calls},
    {"registers_survive_interrupts", registers_survive_interrupts},
};

}  // namespace

Section machine_section() {
  return section("machine", kCases);
}

}  // namespace usertests
