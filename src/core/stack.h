/* core/stack.h - stacks of tasks, and a pool of them
 *
 * Stacks are cut from large mappings, so a hundred thousand of them need only
 * a few hundred. A free stack goes on top of the pile and is the next to be
 * used: its top page is there already, in memory and mostly in the cache.
 *
 *     base          base + guard                               base + size
 *     | no access   | grows downwards <-----   colour | header |
 *
 * The colour, a few hundred bytes that differ from stack to stack, keeps the
 * frames of thousands of waiting tasks out of each other's cache lines: at one
 * offset in every page they would all compete for the same few.
 */
#ifndef CALM_CORE_STACK_H
#define CALM_CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALM__CANARY UINT64_C(0x63616c6d20656e64) /* "calm end" */

/* At the upper end of each stack, in its first page. */
struct calm__stack {
    struct calm__stack *next; /* in the pile of free ones */
    char *base;
    char *end;
    char *top;          /* where the first frame begins, a multiple of 16 */
    void *fake;         /* what the address sanitizer keeps for a left stack */
    bool watched;       /* has no guard: the canary of the stack below serves */
    uint64_t canary[2]; /* uppermost: an overrun from above comes here first */
};

enum calm__guard {
    CALM__GUARD_INSTALL, /* MADV_GUARD_INSTALL, Linux 6.13: no mapping each */
    CALM__GUARD_PROTECT, /* mprotect, for the first 16,000 stacks */
    CALM__GUARD_CANARY,  /* a word in the stack below, looked at afterwards */
};

struct calm__stacks {
    size_t size;
    struct calm__stack *free;
    struct calm__slab *slabs; /* newest first */
    size_t count;             /* stacks cut so far */
    enum calm__guard guard;
};

/* SIZE in bytes, rounded up to pages. Maps nothing yet. */
void calm__stacks_init(struct calm__stacks *stacks, size_t size);

/* Unmaps everything; no stack may be in use. */
void calm__stacks_clear(struct calm__stacks *stacks);

/* A stack, or NULL when there is no memory for one. */
struct calm__stack *calm__stack_get(struct calm__stacks *stacks);

static inline void calm__stack_put(
    struct calm__stacks *stacks, struct calm__stack *stack)
{
    stack->next = stacks->free;
    stacks->free = stack;
}

/* Whether a stack without a guard has overrun the canary below it. */
static inline bool calm__stack_overrun(const struct calm__stack *stack)
{
    const struct calm__stack *below =
        (const void *)(stack->base - sizeof *stack);
    return stack->watched && below->canary[1] != CALM__CANARY;
}

/* Whether ADDRESS is in the guard of STACK. */
bool calm__stack_guards(const struct calm__stack *stack, const void *address);

/* The method that this kernel offers, for the doctor. */
const char *calm__guard_name(void);

#endif
