// Jumps into the hole, where no memory is: KVM cannot fetch what it would have to emulate.
#include "kernel.inc"
PVH_NOTE(start)
.globl start
start:
  mov $0xdead, %ebx
  mov $0xd8000000, %eax
  jmp *%eax
