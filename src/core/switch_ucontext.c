/* switch_ucontext.c - leaving one stack for another where there is no assembly
 *
 * A place is a ucontext_t on the stack that was left. Slow, as each switch
 * asks the kernel for the signal mask, but the same on every processor.
 */
#include "core/switch.h"

#include "base/error.h"

#include <stddef.h>
#include <ucontext.h>

/* A context brings back the settings of the floating point unit with which it
 * was left. The loop has set those of the task that goes on just before: they
 * are kept here across the switch. */
static CALM__THREAD uint32_t mxcsr;
static CALM__THREAD uint16_t control_word;

static void swap(ucontext_t *save, ucontext_t *load)
{
    calm__float_get(&mxcsr, &control_word);
    swapcontext(save, load);
    calm__float_set(mxcsr, control_word);
}

static void enter(unsigned high, unsigned low)
{
    void *(*entry)(void) =
        (void *(*)(void))(uintptr_t)((uint64_t)high << 32 | low);
    void *next = entry();
    calm__float_get(&mxcsr, &control_word);
    setcontext(next);
}

void calm__switch(void **save, void *load, void *(*entry)(void))
{
    ucontext_t here;
    *save = &here;
    if (!entry) {
        swap(&here, load);
        return;
    }
    /* The lower end is not checked here, so a nominal size will do. */
    const size_t nominal = 2048;
    uint64_t number = (uintptr_t)entry;
    ucontext_t fresh;
    getcontext(&fresh);
    fresh.uc_stack.ss_sp = (char *)load - nominal;
    fresh.uc_stack.ss_size = nominal;
    fresh.uc_link = NULL;
    makecontext(&fresh, (void (*)(void))enter, 2, (unsigned)(number >> 32),
        (unsigned)number);
    swap(&here, &fresh);
}
