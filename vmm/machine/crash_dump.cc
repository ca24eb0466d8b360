#include "vmm/machine/crash_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "vmm/memory/host_page.h"
#include "vmm/memory/walk.h"
#include "vmm/memory/walk_view.h"

namespace twofold {

namespace {

constexpr uint64_t kInstructionBytes = 16;  // the longest x86 instruction has 15

void add_registers(std::vector<std::string>& lines, const kvm_regs& r, const kvm_sregs& s) {
  lines.push_back(fmt::format("rip {:016x}  rflags {:08x}  cs {:04x} base {:x}  ss {:04x}", uint64_t{r.rip},
                              uint64_t{r.rflags}, uint16_t{s.cs.selector}, uint64_t{s.cs.base},
                              uint16_t{s.ss.selector}));
  lines.push_back(fmt::format("rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}", uint64_t{r.rax}, uint64_t{r.rbx},
                              uint64_t{r.rcx}, uint64_t{r.rdx}));
  lines.push_back(fmt::format("rsi {:016x}  rdi {:016x}  rbp {:016x}  rsp {:016x}", uint64_t{r.rsi}, uint64_t{r.rdi},
                              uint64_t{r.rbp}, uint64_t{r.rsp}));
  lines.push_back(fmt::format("cr0 {:08x}  cr2 {:08x}  cr3 {:08x}  cr4 {:08x}  efer {:x}  idt {:x}+{:x}  gdt {:x}+{:x}",
                              uint64_t{s.cr0}, uint64_t{s.cr2}, uint64_t{s.cr3}, uint64_t{s.cr4}, uint64_t{s.efer},
                              uint64_t{s.idt.base}, uint16_t{s.idt.limit}, uint64_t{s.gdt.base},
                              uint16_t{s.gdt.limit}));
}

// The bytes at `gpa`, up to the end of its page: what lies beyond would need a walk of its own.
std::string instruction_bytes(const GuestMemory& memory, Gpa gpa) {
  const uint64_t in_page = kPageSize - gpa.value % kPageSize;
  std::string text;
  for (const std::byte byte : memory.at(gpa, std::min(in_page, kInstructionBytes))) {
    text += fmt::format(" {:02x}", static_cast<unsigned>(byte));
  }
  return text.empty() ? " (no RAM there)" : text;
}

}  // namespace

std::vector<std::string> crash_dump(const Vcpu& vcpu, const GuestMemory& memory) {
  std::vector<std::string> lines;
  const auto regs = vcpu.regs();
  const auto sregs = vcpu.sregs();
  if (!regs || !sregs) return {"registers cannot be read"};
  // SVM leaves nothing of a guest that shut down: KVM puts the vCPU in its reset state before it tells us.
  if (sregs->cs.selector == 0xf000 && regs->rip == 0xfff0) return {"its registers are gone: KVM has reset the vCPU"};
  add_registers(lines, *regs, *sregs);

  // A segment's base counts outside flat kernels, in real mode above all.
  const Gva rip{sregs->cs.base + regs->rip};
  const PagingState paging{sregs->cr0, sregs->cr3, sregs->cr4, sregs->efer};
  const auto walk = walk_two_dimensions(memory, ProcPagemap(), paging, rip);
  lines.push_back("instruction bytes at rip:" +
                  (walk.guest.gpa ? instruction_bytes(memory, *walk.guest.gpa) : std::string(" (not mapped)")));
  lines.emplace_back("two-dimensional walk of rip:");
  std::istringstream text(walk_text(walk_to_json(walk)));
  for (std::string line; std::getline(text, line);) lines.push_back("  " + line);
  return lines;
}

}  // namespace twofold
