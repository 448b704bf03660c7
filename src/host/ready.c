/* ready.c - who waits for which descriptor, and in which direction
 *
 * One waiter in each direction: two readers of one stream would each get a
 * random part of it, so the second is told -EBUSY, at once and by both
 * backends alike. (The kernel's ring would let both wait.)
 */
#include "host/ready.h"

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum calm__direction direction(const struct calm__op *op)
{
    return op->kind == CALM__OP_READABLE ? CALM__READING : CALM__WRITING;
}

/* Makes the table hold FD. It doubles, so that a thousand connections that
 * open one after the other do not copy it a thousand times. */
static int grow(struct calm__ready *ready, int fd)
{
    size_t count = ready->count ? (size_t)ready->count : 32;
    while (count <= (size_t)fd)
        count *= 2;
    struct calm__ready_entry *entries =
        calm__realloc(ready->entries, count * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    memset(entries + ready->count, 0,
        (count - (size_t)ready->count) * sizeof *entries);
    ready->entries = entries;
    ready->count = (int)count;
    return 0;
}

int calm__ready_add(struct calm__ready *ready, struct calm__op *op)
{
    if (op->fd < 0)
        return -EBADF;
    if (op->fd >= ready->count) {
        int rc = grow(ready, op->fd);
        if (rc < 0)
            return rc;
    }
    struct calm__op **place = &ready->entries[op->fd].waiting[direction(op)];
    if (*place)
        return -EBUSY;
    *place = op;
    return 0;
}

void calm__ready_remove(struct calm__ready *ready, struct calm__op *op)
{
    struct calm__ready_entry *entry = calm__ready_find(ready, op->fd);
    if (entry && entry->waiting[direction(op)] == op)
        entry->waiting[direction(op)] = NULL;
}

struct calm__ready_entry *calm__ready_find(struct calm__ready *ready, int fd)
{
    return fd >= 0 && fd < ready->count ? &ready->entries[fd] : NULL;
}

void calm__ready_clear(struct calm__ready *ready)
{
    free(ready->entries);
    *ready = (struct calm__ready){0};
}
