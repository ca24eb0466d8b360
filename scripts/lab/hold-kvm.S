# Keeps one virtual machine with one processor alive, which never runs, for as long as the lab does.
#
# When the first VM comes and when the last one goes, Linux rewrites its own scheduler (static keys: preempt notifiers), and
# KVM its own code likewise (a local APIC that software has not enabled yet). An emulated machine of several processors may
# still execute the breakpoint that was there for a moment: "Oops: int3", or worse. With this VM the first comes before the
# lab's command does, and the last goes after it.
#
# Run by scripts/lab/init. x86-64, no library: there is no compiler where the labs are made.

        .set    SYS_OPEN, 2
        .set    SYS_IOCTL, 16
        .set    SYS_PAUSE, 34
        .set    O_RDWR, 2
        .set    KVM_CREATE_VM, 0xae01
        .set    KVM_CREATE_IRQCHIP, 0xae60
        .set    KVM_CREATE_VCPU, 0xae41

        .globl  _start
_start:
        movl    $SYS_OPEN, %eax
        leaq    path(%rip), %rdi
        movl    $O_RDWR, %esi
        syscall
        movl    %eax, %edi
        movl    $SYS_IOCTL, %eax
        movl    $KVM_CREATE_VM, %esi
        xorl    %edx, %edx
        syscall
        movl    %eax, %edi
        movl    $SYS_IOCTL, %eax
        movl    $KVM_CREATE_IRQCHIP, %esi
        syscall
        movl    $SYS_IOCTL, %eax
        movl    $KVM_CREATE_VCPU, %esi
        syscall
1:      movl    $SYS_PAUSE, %eax
        syscall
        jmp     1b

path:   .asciz  "/dev/kvm"
