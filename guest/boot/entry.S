// Entry by PVH (Xen's x86/HVM direct boot ABI): 32-bit protected mode, paging off, flat segments, interrupts off,
// EBX = guest-physical address of hvm_start_info. The code here runs at its physical address until paging is on.

#define KERNBASE 0x80000000
#define PHYS(symbol) ((symbol) - KERNBASE)

#define PTE_PRESENT_WRITABLE 0x3
#define PTE_LARGE 0x80
#define CR4_PSE 0x10
#define CR0_PG_WP 0x80010000

        .section .note.Xen, "a", @note
        .balign 4
        .long   4, 4, 18                // XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   PHYS(start)

        // Where the hypervisor's inspector finds guest_abi::InspectTable.
        .section .note.Twofold, "a", @note
        .balign 4
        .long   8, 4, 1                 // guest_abi::kInspectNoteType
        .asciz  "Twofold"
        .long   PHYS(inspect_table)

        .section .text.boot, "ax"
        .global start
start:
        cli
        cld
        // A loader may leave anything where memory exceeds the file.
        movl    $PHYS(bss_start), %edi
        movl    $PHYS(bss_end), %ecx
        subl    %edi, %ecx
        shrl    $2, %ecx
        xorl    %eax, %eax
        rep stosl

        // 4 MiB twice: at 0, for the instructions until the jump, and at KERNBASE. paging.cc does the rest.
        movl    $(PTE_PRESENT_WRITABLE | PTE_LARGE), PHYS(kernel_page_directory)
        movl    $(PTE_PRESENT_WRITABLE | PTE_LARGE), PHYS(kernel_page_directory) + (KERNBASE >> 20)
        movl    %cr4, %eax
        orl     $CR4_PSE, %eax
        movl    %eax, %cr4
        movl    $PHYS(kernel_page_directory), %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $CR0_PG_WP, %eax
        movl    %eax, %cr0
        movl    $high, %eax
        jmp     *%eax

high:
        movl    $boot_stack + 4096, %esp
        xorl    %ebp, %ebp
        pushl   %ebx
        call    kernel_main
1:      hlt
        jmp     1b

        .section .bss
        .balign 4096
        .global kernel_page_directory
kernel_page_directory:
        .skip   4096
        .global boot_stack
boot_stack:                             // becomes the idle stack of CPU 0; page-aligned, see KernelStack
        .skip   4096

        .section .note.GNU-stack, "", @progbits
