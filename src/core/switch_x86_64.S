/* switch_x86_64.S - leaving one stack for another, System V x86-64
 *
 * The callee-saved registers go onto the stack that is left; rsp is all that
 * is remembered of it.
 *
 * Every way out is a ret that belongs to a call: tasks leave from one place in
 * loop.c, so the processor, which predicts returns by a stack of its own, is
 * right about this one and about those of the callers. For the same reason a
 * new stack is begun by a call, and left for good by a return from it. An
 * indirect jump instead puts all of them off by one (measured: 16 ns a switch,
 * not 9, and 50 ns more for a task that is spawned and awaited).
 */
    .text
    .globl calm__switch
    .hidden calm__switch
    .type calm__switch, @function
    .p2align 4
calm__switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    testq %rdx, %rdx
    jnz 2f
1:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
2:
    .cfi_undefined rip /* a backtrace of the new stack ends here */
    xorl %ebp, %ebp
    call *%rdx
    movq %rax, %rsp
    jmp 1b
    .cfi_endproc
    .size calm__switch, . - calm__switch

    .section .note.GNU-stack, "", @progbits
