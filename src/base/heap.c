/* heap.c - deadlines: a run of growing ones, and a 4-ary heap of the others
 *
 * The heap has the deadline beside the pointer: a level costs one cache line.
 * But each entry that moves tells its timer, which lies on some task's stack,
 * so a pop out of a million writes to a dozen cold lines; the run is there for
 * those who sleep equally long. A timer knows its place, so a cancelled one
 * leaves at once, and the run is closed up before half of it is empty.
 */
#include "base/heap.h"

#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

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
        if (!calm__heap_before(&entry, &heap->entries[parent]))
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
        if (first >= heap->heaped)
            break;
        uint32_t end = first + 4 < heap->heaped ? first + 4 : heap->heaped;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++)
            if (calm__heap_before(&heap->entries[child], &heap->entries[least]))
                least = child;
        if (!calm__heap_before(&heap->entries[least], &entry))
            break;
        place(heap, at, heap->entries[least]);
        at = least;
    }
    place(heap, at, entry);
}

static void heap_remove(struct calm__heap *heap, uint32_t at)
{
    struct calm__heap_entry last = heap->entries[--heap->heaped];
    if (at == heap->heaped)
        return;
    if (at > 0 && calm__heap_before(&last, &heap->entries[(at - 1) / 4]))
        sift_up(heap, at, last);
    else
        sift_down(heap, at, last);
}

/* ---- the run ---- */

/* Moves what is left to the front. */
static void run_close_up(struct calm__heap *heap)
{
    uint32_t to = 0;
    for (uint32_t from = heap->run_first; from < heap->run_end; from++) {
        struct calm__heap_entry entry = heap->run[from];
        if (!entry.timer)
            continue;
        entry.timer->index = to + 1;
        heap->run[to++] = entry;
    }
    heap->run_first = 0;
    heap->run_end = to;
}

static void run_append(struct calm__heap *heap, struct calm__heap_entry entry)
{
    if (heap->run_end == heap->capacity)
        run_close_up(heap);
    heap->run[heap->run_end++] = entry;
    heap->run_count++;
    entry.timer->index = heap->run_end;
    entry.timer->in_run = true;
}

static void run_remove(struct calm__heap *heap, uint32_t at)
{
    heap->run[at].timer = NULL;
    if (--heap->run_count == 0) {
        heap->run_first = heap->run_end = 0;
        return;
    }
    while (!heap->run[heap->run_first].timer)
        heap->run_first++;
    while (!heap->run[heap->run_end - 1].timer)
        heap->run_end--;
}

/* ---- both ---- */

static int entries_resize(struct calm__heap_entry **entries, size_t capacity)
{
    void *resized = calm__realloc(*entries, capacity * sizeof **entries);
    if (!resized)
        return -ENOMEM;
    *entries = resized;
    return 0;
}

/* Each could have to take all. The run has twice the room, so that closing it
 * up, when it is full, frees at least half of it. */
int calm__heap_reserve(struct calm__heap *heap, size_t count)
{
    count += heap->kept;
    if (count <= heap->capacity / 2)
        return 0;
    if (count > UINT32_MAX / 8) /* places are counted in 32 bits */
        return -ENOMEM;
    size_t capacity = heap->capacity ? heap->capacity : 64;
    while (capacity / 2 < count)
        capacity *= 2;
    if (entries_resize(&heap->entries, capacity / 2) < 0 ||
        entries_resize(&heap->run, capacity) < 0)
        return -ENOMEM;
    heap->capacity = (uint32_t)capacity;
    return 0;
}

void calm__heap_insert(struct calm__heap *heap, struct calm__timer *timer)
{
    assert(timer->index == 0 && heap->count < heap->capacity / 2);
    struct calm__heap_entry entry = {timer->deadline, heap->order++, timer};
    heap->count++;
    if (heap->run_count == 0 ||
        timer->deadline >= heap->run[heap->run_end - 1].deadline) {
        run_append(heap, entry);
    } else {
        timer->in_run = false;
        sift_up(heap, heap->heaped++, entry);
    }
}

void calm__heap_remove(struct calm__heap *heap, struct calm__timer *timer)
{
    if (timer->index == 0)
        return;
    uint32_t at = timer->index - 1;
    timer->index = 0;
    heap->count--;
    if (timer->in_run)
        run_remove(heap, at);
    else
        heap_remove(heap, at);
}

void calm__heap_clear(struct calm__heap *heap)
{
    free(heap->entries);
    free(heap->run);
    *heap = (struct calm__heap){0};
}
