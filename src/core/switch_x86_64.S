/* switch_x86_64.S - leaving one stack for another, System V x86-64
 *
 * The callee-saved registers go onto the stack that is left; rsp is all that
 * is remembered of it. It ends in a ret, as tasks mostly go on at the place in
 * loop.c that they left from: the processor's stack of return addresses stays
 * in step, for this return and for those of the callers. An indirect jump
 * instead would put all of them off by one (measured: 16 ns a switch, not 6).
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
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size calm__switch, . - calm__switch

/* void *calm__switch_prepare(void *top, void (*entry)(void))
 *
 *     top - 8    0        where entry would return to: ends a backtrace
 *     top - 16   entry
 *     top - 64   six zeroed registers <- the place
 */
    .globl calm__switch_prepare
    .hidden calm__switch_prepare
    .type calm__switch_prepare, @function
    .p2align 4
calm__switch_prepare:
    .cfi_startproc
    movq $0, -8(%rdi)
    movq %rsi, -16(%rdi)
    movq $0, -24(%rdi)
    movq $0, -32(%rdi)
    movq $0, -40(%rdi)
    movq $0, -48(%rdi)
    movq $0, -56(%rdi)
    movq $0, -64(%rdi)
    leaq -64(%rdi), %rax
    ret
    .cfi_endproc
    .size calm__switch_prepare, . - calm__switch_prepare

    .section .note.GNU-stack, "", @progbits
