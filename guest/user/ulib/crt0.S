// Process entry. The kernel leaves ESP pointing to argc, which argv's pointers and a null follow.
        .section .text.start, "ax"
        .global _start
_start:
        xorl    %ebp, %ebp
        movl    (%esp), %eax
        leal    4(%esp), %edx
        andl    $-16, %esp              // i386 ABI: 16-byte alignment at each call
        subl    $8, %esp
        pushl   %edx
        pushl   %eax
        call    main
        movl    %eax, %ebx              // exit(main's result)
        movl    $3, %eax                // guest_abi::kSysExit
        int     $0x40                   // guest_abi::kSyscallVector
        ud2

        .section .note.GNU-stack, "", @progbits
