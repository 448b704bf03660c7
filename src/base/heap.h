/* base/heap.h - a heap of deadlines, and the timers in it
 *
 * Four children to a node and the deadline beside the pointer: a level costs
 * one cache line. Entries of equal deadline come out in the order in which
 * they went in.
 */
#ifndef CALM_BASE_HEAP_H
#define CALM_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what waits for a time. */
struct calm__timer {
    int64_t deadline;
    uint32_t index; /* its place in the heap, from 1; 0 when not in it */
    uint32_t kind;  /* for the owner */
};

struct calm__heap_entry {
    int64_t deadline;
    uint64_t order;
    struct calm__timer *timer;
};

struct calm__heap {
    struct calm__heap_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint64_t order;
};

/* Makes room for COUNT entries. Returns 0 or -ENOMEM. */
int calm__heap_reserve(struct calm__heap *heap, size_t count);

/* Adds a timer that is in no heap; room must have been reserved. */
void calm__heap_insert(struct calm__heap *heap, struct calm__timer *timer);

/* Takes a timer out; nothing happens when it is not in. */
void calm__heap_remove(struct calm__heap *heap, struct calm__timer *timer);

/* The earliest timer, or NULL. */
static inline struct calm__timer *calm__heap_first(
    const struct calm__heap *heap)
{
    return heap->count ? heap->entries[0].timer : NULL;
}

void calm__heap_clear(struct calm__heap *heap);

#endif
