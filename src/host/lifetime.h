/* host/lifetime.h - what all runs of the process share, from first to last */
#ifndef CALM_HOST_LIFETIME_H
#define CALM_HOST_LIFETIME_H

#include <stdatomic.h>
#include <stdbool.h>

/* Counts a run in: the first starts the ticker. Returns 0, or -ECHILD with a
 * sentence in a process that was forked off while a run lasted. */
int calm__lifetime_begin(void);

/* Counts it out: the last ends all threads of calm and waits for them. */
void calm__lifetime_end(void);

/* Whether a fork would copy all of the process: outside of a run, with no
 * other thread. Returns 0, or -EBUSY with a sentence about WHAT needs it. */
int calm__lifetime_alone(const char *what);

/* What the first run does for the heap: for those who compare with a run. */
void calm__heap_teach(void);

extern atomic_bool calm__forked_child;

/* Whether this process was forked off while a run lasted: it has none of the
 * threads that the run's state speaks of, and the kernel objects are shared
 * with the parent, so nothing may touch them. */
static inline bool calm__forked(void)
{
    return __builtin_expect(
        atomic_load_explicit(&calm__forked_child, memory_order_relaxed), false);
}

#endif
