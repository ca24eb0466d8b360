// void switch_context(Context** save_here, Context* resume)
//
// Saves the callee-saved registers on the current kernel stack, stores where they lie, and continues on the other
// stack. A Context is exactly what is pushed here; see scheduler.h.
        .section .text.switch_context, "ax"
        .global switch_context
switch_context:
        movl    4(%esp), %eax
        movl    8(%esp), %edx
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    %esp, (%eax)
        movl    %edx, %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

        .section .note.GNU-stack, "", @progbits
