// 256 entry points, one a vector, and the frame that all traps share: struct TrapFrame in trap.h.

#define KERNEL_DATA 0x10

        .section .text.vectors, "ax"
// A vector's stub is 16 bytes, so that interrupts.cc finds it by arithmetic. The processor pushes an error code for
// vectors 8, 10..14, 17, 21, 29 and 30 (SDM vol. 3, 6.13); the others push a zero to make all frames alike.
        .balign 16
        .global trap_vectors
trap_vectors:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        pushl   $0
        .endif
        pushl   $vector
        jmp     trap_entry
        .set    vector, vector + 1
        .endr

trap_entry:
        pushal
        pushl   %ds
        pushl   %es
        pushl   %fs
        pushl   %gs
        movw    $KERNEL_DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        cld
        pushl   %esp
        call    trap
        addl    $4, %esp

        // A new process starts here, on the frame that fork or the kernel made for it.
        .global trap_return
trap_return:
        popl    %gs
        popl    %fs
        popl    %es
        popl    %ds
        popal
        addl    $8, %esp                // vector and error code
        iret

        .section .note.GNU-stack, "", @progbits
