// Says that it lives, then never leaves the guest again, counting at 2 MiB: no exit, no interrupt, no halt.
#include "kernel.inc"
PVH_NOTE(start)
.globl start
start:
  mov $COM1, %dx
  mov $'!', %al
  out %al, %dx
  mov $'\n', %al
  out %al, %dx
1:
  incl 0x200000
  jmp 1b
