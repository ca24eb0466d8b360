// The protection rules: what a process may not touch, and that only it dies of trying.
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

// Kernel addresses of every kind: base, low memory, image, direct map, devices, top.
constexpr uint32_t kKernelAddresses[] = {
    kKernBase,
    kKernBase + 0x7c00,
    kKernBase + 0x100000,
    kKernBase + 0x101234,
    kKernBase + 0x180000,
    kKernBase + 0x400000,
    kKernBase + 0x10000000,
    kKernBase + 0x20000000,
    0xc0000000,
    0xfec00000,
    0xfee00000,
    0xffc00000,
    0xfffff000,
    0xffffffff,
};

uint8_t load(uint32_t address) {
  return *at(address);
}
void store(uint32_t address) {
  *at(address) = 0x5a;
}
void jump(uint32_t address) {
  asm volatile("call *%0" ::"r"(address) : "eax", "ecx", "edx", "memory", "cc");
}

void kernel_reads() {
  for (const uint32_t address : kKernelAddresses) CHECK_KILLED(load(address));
}

void kernel_writes() {
  for (const uint32_t address : kKernelAddresses) CHECK_KILLED(store(address));
}

void kernel_calls() {
  for (const uint32_t address : kKernelAddresses) CHECK_KILLED(jump(address));
}

// A word of which only the last byte is the kernel's.
void straddling_reads() {
  CHECK_EQ(load(kUserTop - 1), load(kUserTop - 1));
  CHECK_KILLED(*reinterpret_cast<volatile uint32_t*>(kUserTop - 3));
  CHECK_KILLED(*reinterpret_cast<volatile uint32_t*>(kUserTop - 1) = 0);
}

void null_pointers() {
  const uint32_t addresses[] = {0, 4, 0x7ff, kUserTextBase - 1};
  for (const uint32_t address : addresses) {
    CHECK_KILLED(load(address));
    CHECK_KILLED(store(address));
    CHECK_KILLED(jump(address));
  }
}

void unmapped_pages() {
  const uint32_t addresses[] = {0x10000000, 0x40000000, 0x7fe00000, kUserTop - kUserStackMax - 1};
  for (const uint32_t address : addresses) {
    CHECK_KILLED(load(address));
    CHECK_KILLED(store(address));
    CHECK_KILLED(jump(address));
  }
}

void own_text_is_read_only() {
  CHECK_EQ(load(kUserTextBase), load(kUserTextBase));
  CHECK_KILLED(store(kUserTextBase));
  CHECK_KILLED(store(address_of(reinterpret_cast<const void*>(&own_text_is_read_only))));
}

void own_constants_are_read_only() {
  static const char text[] = "constant";
  CHECK_KILLED(store(address_of(text)));
  CHECK_TEXT(text, "constant");
}

// Each level takes a page, so that the stack grows through all it may have and then meets its end.
uint32_t recurse(uint32_t depth) {
  volatile uint8_t frame[kPageSize];
  frame[0] = static_cast<uint8_t>(depth);
  if (depth == 0) return frame[0];
  return recurse(depth - 1) + frame[0];
}

void stack_grows() {
  constexpr uint32_t kDepth = kUserStackMax / (kPageSize + 128) - 4;
  CHECK_CHILD(CHECK(recurse(kDepth) > 0));
}

void stack_ends() {
  CHECK_KILLED(recurse(2 * kUserStackMax / kPageSize));
  const uint32_t end = kUserTop - kUserStackMax;
  CHECK_CHILD(CHECK_EQ(load(end), 0));
  CHECK_KILLED(load(end - 1));
  CHECK_KILLED(store(end - 1));
  CHECK_KILLED(store(end - kPageSize));
}

// A stack pointer that leads nowhere is fatal with the first push, to its process alone.
void stack_pointer_into_nothing() {
  CHECK_KILLED(asm volatile("movl $0x40000000, %%esp; pushl %%eax" ::: "memory"));
  CHECK_KILLED(asm volatile("movl $0x80100000, %%esp; pushl %%eax" ::: "memory"));
  CHECK_KILLED(asm volatile("xorl %%esp, %%esp; pushl %%eax" ::: "memory"));
  CHECK_KILLED(asm volatile("xorl %%esp, %%esp; call 1f; 1:" ::: "memory"));
}

void privileged_instructions() {
  uint32_t table[2] = {};
  CHECK_KILLED(asm volatile("cli"));
  CHECK_KILLED(asm volatile("sti"));
  CHECK_KILLED(asm volatile("hlt"));
  CHECK_KILLED(asm volatile("clts"));
  // Not INVD and WBINVD: on emulated AMD-V they are intercepted before their privilege check, and KVM skips them.
  CHECK_KILLED(asm volatile("invlpg 0"));
  CHECK_KILLED(asm volatile("lgdt %0" ::"m"(table)));
  CHECK_KILLED(asm volatile("lidt %0" ::"m"(table)));
  CHECK_KILLED(asm volatile("lldt %w0" ::"r"(0)));
  CHECK_KILLED(asm volatile("ltr %w0" ::"r"(0x28)));
  CHECK_KILLED(asm volatile("lmsw %w0" ::"r"(0)));
  CHECK_KILLED(asm volatile("rdmsr" ::"c"(0x1b) : "eax", "edx"));
  CHECK_KILLED(asm volatile("wrmsr" ::"c"(0x1b), "a"(0), "d"(0)));
}

void control_and_debug_registers() {
  CHECK_KILLED(asm volatile("movl %%cr0, %%eax" ::: "eax"));
  CHECK_KILLED(asm volatile("movl %%cr2, %%eax" ::: "eax"));
  CHECK_KILLED(asm volatile("movl %%cr3, %%eax" ::: "eax"));
  CHECK_KILLED(asm volatile("movl %0, %%cr0" ::"r"(0)));
  CHECK_KILLED(asm volatile("movl %0, %%cr3" ::"r"(0x1000)));
  CHECK_KILLED(asm volatile("movl %0, %%cr4" ::"r"(0)));
  CHECK_KILLED(asm volatile("movl %0, %%dr0" ::"r"(0)));
  CHECK_KILLED(asm volatile("movl %%dr7, %%eax" ::: "eax"));
}

void ports() {
  const uint16_t addresses[] = {0, 0x20, 0x3f8, 0x64, kDebugExitPort, 0xcf8, 0xffff};
  for (const uint16_t port : addresses) {
    CHECK_KILLED(asm volatile("inb %w0, %%al" ::"d"(port) : "eax"));
    CHECK_KILLED(asm volatile("outb %%al, %w0" ::"d"(port), "a"(0x10)));
    CHECK_KILLED(asm volatile("outl %%eax, %w0" ::"d"(port), "a"(0x10)));
  }
  char byte = 0;
  CHECK_KILLED(asm volatile("rep insb" ::"d"(0x3f8), "D"(&byte), "c"(1) : "memory"));
}

// The survivors: after all that, a process that did nothing wrong still works, memory and all.
void others_are_unharmed() {
  uint8_t* page = reserve_pages(1);
  page[5] = 0x5a;
  const Pipe pipe = make_pipe();
  const int32_t bystander = start([&] {
    await(pipe.reader);
    CHECK_EQ(page[5], 0x5a);
  });
  for (int32_t left = 8; left > 0; --left) {
    const int32_t pid = start([&] {
      page[5] = 1;
      store(kKernBase + 0x100000);
    });
    CHECK_EQ(status_of_pid(pid), kKilledStatus);
  }
  signal(pipe.writer);
  CHECK_EQ(status_of_pid(bystander), 0);
  CHECK_EQ(page[5], 0x5a);
}

const Case kCases[] = {
    {"kernel_reads", kernel_reads},
    {"kernel_writes", kernel_writes},
    {"kernel_calls", kernel_calls},
    {"straddling_reads", straddling_reads},
    {"null_pointers", null_pointers},
    {"unmapped_pages", unmapped_pages},
    {"own_text_is_read_only", own_text_is_read_only},
    {"own_constants_are_read_only", own_constants_are_read_only},
    {"stack_grows", stack_grows},
    {"stack_ends", stack_ends},
    {"stack_pointer_into_nothing", stack_pointer_into_nothing},
    {"privileged_instructions", privileged_instructions},
    {"control_and_debug_registers", control_and_debug_registers},
    {"ports", ports},
    {"others_are_unharmed", others_are_unharmed},
};

}  // namespace

Section protection_section() {
  return section("protection", kCases);
}

}  // namespace usertests
