// An exception without an IDT: the third fault in a row shuts a CPU down.
#include "kernel.inc"
PVH_NOTE(start)
.globl start
start:
  lidt no_idt
  ud2
.data
no_idt:
  .word 0
  .long 0
