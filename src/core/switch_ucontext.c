/* switch_ucontext.c - leaving one stack for another where there is no assembly
 *
 * A place is a ucontext_t on the stack that was left. Slow, as each switch
 * asks the kernel for the signal mask, but the same on every processor.
 */
#include "core/switch.h"

#include <stddef.h>
#include <ucontext.h>

void calm__switch(void **save, void *load)
{
    ucontext_t here;
    *save = &here;
    swapcontext(&here, load);
}

void *calm__switch_prepare(void *top, void (*entry)(void))
{
    /* The context sits at the top of the stack; the code runs below it. The
     * lower end is not checked here, so a nominal size will do. */
    char *end = top;
    ucontext_t *context = (void *)(end - ((sizeof *context + 15) & ~15ul));
    const size_t nominal = 2048;
    getcontext(context);
    context->uc_stack.ss_sp = (char *)context - nominal;
    context->uc_stack.ss_size = nominal;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    return context;
}
