// Its first instructions end it: what is left of a run's time is what it costs to get a guest going.
#include "kernel.inc"
PVH_NOTE(start)
.globl start
start:
  VERDICT(0x10)
  hlt
