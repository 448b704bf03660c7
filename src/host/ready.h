/* host/ready.h - who waits for which descriptor, and in which direction
 *
 * Both backends keep one. Descriptors are small numbers, so the table is an
 * array with a place for each, grown to the highest one that was waited for.
 */
#ifndef CALM_HOST_READY_H
#define CALM_HOST_READY_H

#include "core/backend.h"

enum calm__direction {
    CALM__READING,
    CALM__WRITING,
};

struct calm__ready_entry {
    struct calm__op *waiting[2]; /* by direction; NULL: nobody */
    uint32_t registered;         /* the epoll backend's mask in the kernel */
};

struct calm__ready {
    struct calm__ready_entry *entries;
    int count;
};

/* Enters OP, a READABLE or WRITABLE, as the waiter of its descriptor. Returns
 * 0, -EBUSY when another waits in that direction, -EBADF for a negative
 * descriptor, or -ENOMEM. */
int calm__ready_add(struct calm__ready *ready, struct calm__op *op);

/* Takes OP out again; nothing happens when it is not in. */
void calm__ready_remove(struct calm__ready *ready, struct calm__op *op);

/* The place of a descriptor; NULL when nobody has ever waited for it. */
struct calm__ready_entry *calm__ready_find(struct calm__ready *ready, int fd);

void calm__ready_clear(struct calm__ready *ready);

#endif
