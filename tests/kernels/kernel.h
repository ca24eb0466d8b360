// What every kernel here begins with.

#define DEBUG_EXIT 0xf4
#define COM1 0x3f8

// The PVH entry note: owner "Xen", type 18 (XEN_ELFNOTE_PHYS32_ENTRY), 4 bytes of address.
#define PVH_NOTE(entry)            \
  .section .note.pvh, "a", @note; \
  .align 4;                        \
  .long 4, 4, 18;                  \
  .asciz "Xen";                    \
  .long entry;                     \
  .text

#define VERDICT(value) \
  mov $value, %eax;    \
  out %eax, $DEBUG_EXIT
