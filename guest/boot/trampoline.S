// Where an application processor starts: copied to kTrampolineAddress below 1 MiB, entered in real mode by a
// startup IPI with CS:IP = (kTrampolineAddress >> 4):0. smp.cc fills in the words at the end, and keeps the low
// 4 MiB identity-mapped in the kernel's page directory until all processors are up.

#define KERNBASE 0x80000000
#define TRAMPOLINE 0x8000
#define AT(label) (TRAMPOLINE + (label) - trampoline_start)

#define CR4_PSE 0x10
#define CR0_PG_WP_PE 0x80010001
#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10

        .section .rodata.trampoline, "a"
        .global trampoline_start, trampoline_end, trampoline_stack
        .code16
        .balign 16
trampoline_start:
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        lgdtl   AT(gdt_descriptor)
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $CODE_SELECTOR, $AT(protected)

        .code32
protected:
        movw    $DATA_SELECTOR, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    %cr4, %eax
        orl     $CR4_PSE, %eax
        movl    %eax, %cr4
        movl    $(kernel_page_directory - KERNBASE), %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $CR0_PG_WP_PE, %eax
        movl    %eax, %cr0
        movl    AT(trampoline_stack), %esp
        xorl    %ebp, %ebp
        movl    $processor_main, %eax
        call    *%eax
1:      hlt
        jmp     1b

        .balign 8
gdt:
        .quad   0
        .quad   0x00cf9a000000ffff      // flat code, ring 0
        .quad   0x00cf92000000ffff      // flat data, ring 0
gdt_descriptor:
        .word   gdt_descriptor - gdt - 1
        .long   AT(gdt)
        .balign 4
trampoline_stack:
        .long   0                       // initial ESP
trampoline_end:

        .section .note.GNU-stack, "", @progbits
