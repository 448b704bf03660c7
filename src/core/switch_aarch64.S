/* switch_aarch64.S - leaving one stack for another, AAPCS64
 *
 * x19-x28, the frame pointer, the link register and the low halves of v8-v15
 * are the callee's to keep. The place is the stack pointer below them. Why a
 * new stack is begun by a call and every way out is a ret: see the x86-64 one.
 */
    .text
    .globl calm__switch
    .hidden calm__switch
    .type calm__switch, %function
    .p2align 4
calm__switch:
    .cfi_startproc
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x3, sp
    str x3, [x0]
    mov sp, x1
    cbnz x2, 2f
1:
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
2:
    .cfi_undefined x30 /* a backtrace of the new stack ends here */
    mov x29, xzr
    blr x2
    mov sp, x0
    b 1b
    .cfi_endproc
    .size calm__switch, . - calm__switch

    .section .note.GNU-stack, "", %progbits
