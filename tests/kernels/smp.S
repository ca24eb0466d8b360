// Wakes every other CPU by INIT and SIPI (MP 1.4 appendix B.4) and counts those that come. Verdict: how many came.
#include "kernel.inc"
#define TRAMPOLINE 0x8000
#define COUNT 0x9000
#define ICR_LOW 0xfee00300
#define ALL_BUT_SELF 0xc0000
#define SPIN(n)  \
  mov $n, %ecx; \
1:              \
  pause;        \
  loop 1b

PVH_NOTE(start)
.globl start
start:
  cld
  movl $0, COUNT
  mov $trampoline, %esi
  mov $TRAMPOLINE, %edi
  mov $(trampoline_end - trampoline), %ecx
  rep movsb
  movl $0x1ff, 0xfee000f0  // spurious vector register: enable this local APIC
  movl $(ALL_BUT_SELF | 0x4500), ICR_LOW  // INIT, assert
  SPIN(100000)
  movl $(ALL_BUT_SELF | 0x4600 | (TRAMPOLINE >> 12)), ICR_LOW  // start-up at TRAMPOLINE
  SPIN(2000000)
  mov COUNT, %eax
  out %eax, $DEBUG_EXIT
  hlt

.code16
trampoline:  // real mode, CS = TRAMPOLINE >> 4
  xor %ax, %ax
  mov %ax, %ds
  lock incw COUNT
2:
  hlt
  jmp 2b
trampoline_end:
