/* base/heap.h - a heap of deadlines, and the timers in it
 *
 * Sleepers mostly arrive with growing deadlines. Those go into a run, sorted
 * as they came, from which the earliest is taken without moving any other;
 * only what comes before the run's last goes into a heap proper.
 *
 *     run     . . 3 5 x 8 9 9 12      taken from the front; x was cancelled
 *     heap    4 7 6 11                four children to a node
 *
 * Entries of equal deadline come out in the order in which they went in.
 */
#ifndef CALM_BASE_HEAP_H
#define CALM_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what waits for a time. */
struct calm__timer {
    int64_t deadline;
    uint32_t index; /* its place, from 1; 0 when in neither */
    uint16_t in_run;
    uint16_t kind; /* for the owner */
};

struct calm__heap_entry {
    int64_t deadline;
    uint64_t order;
    struct calm__timer *timer;
};

struct calm__heap {
    uint32_t count; /* of timers in both */
    uint32_t capacity;
    uint32_t kept; /* places for timers that must always find one */
    uint64_t order;

    struct calm__heap_entry *entries;
    uint32_t heaped;

    struct calm__heap_entry *run; /* a removed one has no timer */
    uint32_t run_first, run_end;  /* at both ends is a timer, if any */
    uint32_t run_count;
};

/* Makes room for COUNT entries beside those that are kept. Returns 0 or
 * -ENOMEM. */
int calm__heap_reserve(struct calm__heap *heap, size_t count);

/* Adds a timer that is in no heap; room must have been reserved. */
void calm__heap_insert(struct calm__heap *heap, struct calm__timer *timer);

/* Takes a timer out; nothing happens when it is not in. */
void calm__heap_remove(struct calm__heap *heap, struct calm__timer *timer);

/* Whether entry A comes out before B. */
static inline bool calm__heap_before(
    const struct calm__heap_entry *a, const struct calm__heap_entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->order < b->order;
}

/* The earliest timer, or NULL. */
static inline struct calm__timer *calm__heap_first(
    const struct calm__heap *heap)
{
    if (heap->run_count == 0)
        return heap->heaped ? heap->entries[0].timer : NULL;
    const struct calm__heap_entry *first = &heap->run[heap->run_first];
    if (heap->heaped && calm__heap_before(&heap->entries[0], first))
        first = &heap->entries[0];
    return first->timer;
}

void calm__heap_clear(struct calm__heap *heap);

#endif
