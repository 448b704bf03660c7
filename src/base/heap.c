/* heap.c - a 4-ary heap of deadlines
 *
 * Sleepers mostly arrive with growing deadlines, which makes an insert O(1):
 * the new entry stays at the bottom. A timer knows its place, so a cancelled
 * sleep leaves at once and the heap never holds the dead.
 */
#include "base/heap.h"

#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static bool before(
    const struct calm__heap_entry *a, const struct calm__heap_entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->order < b->order;
}

static void place(
    struct calm__heap *heap, uint32_t at, struct calm__heap_entry entry)
{
    heap->entries[at] = entry;
    entry.timer->index = at + 1;
}

static void sift_up(
    struct calm__heap *heap, uint32_t at, struct calm__heap_entry entry)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 4;
        if (!before(&entry, &heap->entries[parent]))
            break;
        place(heap, at, heap->entries[parent]);
        at = parent;
    }
    place(heap, at, entry);
}

static void sift_down(
    struct calm__heap *heap, uint32_t at, struct calm__heap_entry entry)
{
    for (;;) {
        uint32_t first = 4 * at + 1;
        if (first >= heap->count)
            break;
        uint32_t end = first + 4 < heap->count ? first + 4 : heap->count;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++)
            if (before(&heap->entries[child], &heap->entries[least]))
                least = child;
        if (!before(&heap->entries[least], &entry))
            break;
        place(heap, at, heap->entries[least]);
        at = least;
    }
    place(heap, at, entry);
}

int calm__heap_reserve(struct calm__heap *heap, size_t count)
{
    if (count <= heap->capacity)
        return 0;
    size_t capacity = heap->capacity ? heap->capacity : 64;
    while (capacity < count)
        capacity *= 2;
    if (capacity > UINT32_MAX / 4)
        return -ENOMEM;
    void *entries = calm__realloc(heap->entries, capacity * sizeof *heap->entries);
    if (!entries)
        return -ENOMEM;
    heap->entries = entries;
    heap->capacity = (uint32_t)capacity;
    return 0;
}

void calm__heap_insert(struct calm__heap *heap, struct calm__timer *timer)
{
    assert(timer->index == 0 && heap->count < heap->capacity);
    struct calm__heap_entry entry = {timer->deadline, heap->order++, timer};
    sift_up(heap, heap->count++, entry);
}

void calm__heap_remove(struct calm__heap *heap, struct calm__timer *timer)
{
    if (timer->index == 0)
        return;
    uint32_t at = timer->index - 1;
    timer->index = 0;
    struct calm__heap_entry last = heap->entries[--heap->count];
    if (at == heap->count)
        return;
    if (at > 0 && before(&last, &heap->entries[(at - 1) / 4]))
        sift_up(heap, at, last);
    else
        sift_down(heap, at, last);
}

void calm__heap_clear(struct calm__heap *heap)
{
    free(heap->entries);
    *heap = (struct calm__heap){0};
}
