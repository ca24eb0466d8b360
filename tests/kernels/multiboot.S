// Multiboot 1, as hobby kernels have it: prints its command line on COM1 and ends. Verdict 0x10 if the loader said
// it is Multiboot and gave a command line and a memory map, else 0x11.
#include "kernel.inc"
.section .multiboot, "a"
  .long 0x1badb002, 0x3, -(0x1badb002 + 0x3)  // page-aligned modules, memory information
.text
.globl start
start:
  cmp $0x2badb002, %eax
  jne fail
  mov (%ebx), %ecx
  and $0x44, %ecx  // flags: command line (bit 2), memory map (bit 6)
  cmp $0x44, %ecx
  jne fail
  mov 16(%ebx), %esi  // cmdline
  mov $COM1, %dx
1:
  lodsb
  test %al, %al
  jz 2f
  out %al, %dx
  jmp 1b
2:
  mov $'\n', %al
  out %al, %dx
  VERDICT(0x10)
fail:
  VERDICT(0x11)
  hlt
