// Says that it lives, then never leaves the guest again: no exit, no interrupt, no halt.
#include "kernel.h"
PVH_NOTE(start)
.globl start
start:
  mov $COM1, %dx
  mov $'!', %al
  out %al, %dx
  mov $'\n', %al
  out %al, %dx
1:
  incl counter
  jmp 1b
.data
counter: .long 0
