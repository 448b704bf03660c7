/* host/op_list.h - lists of operations, linked through the operations */
#ifndef CALM_HOST_OP_LIST_H
#define CALM_HOST_OP_LIST_H

#include "core/backend.h"

struct calm__op_list {
    struct calm__op *first, *last;
};

static inline void calm__op_list_append(
    struct calm__op_list *list, struct calm__op *op)
{
    op->next = NULL;
    op->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = op;
    list->last = op;
}

static inline void calm__op_list_remove(
    struct calm__op_list *list, struct calm__op *op)
{
    *(op->previous ? &op->previous->next : &list->first) = op->next;
    *(op->next ? &op->next->previous : &list->last) = op->previous;
    op->next = op->previous = NULL;
}

/* Whether the operation waits for a descriptor, which may take forever, or
 * works on a file, which does not. */
static inline bool calm__op_is_wait(const struct calm__op *op)
{
    return op->kind == CALM__OP_READABLE || op->kind == CALM__OP_WRITABLE;
}

/* The backend's counter that an operation in flight is counted in. */
static inline size_t *calm__op_counter(
    struct calm__backend *backend, const struct calm__op *op)
{
    if (!calm__op_is_wait(op))
        return &backend->certain;
    return op->idle ? &backend->idle : &backend->possible;
}

/* Calls done() for the operations that are in the list now; those that
 * done() adds stay for the next poll. Returns whether there was any. */
static inline bool calm__op_list_run(
    struct calm__op_list *list, struct calm__backend *backend)
{
    struct calm__op *last = list->last, *op = NULL;
    while (op != last) {
        op = list->first;
        calm__op_list_remove(list, op);
        --*calm__op_counter(backend, op);
        backend->done++;
        /* What last points at may be gone after done(): it is compared as
         * an address only, and the loop then ends. */
        op->done(op);
    }
    return last != NULL;
}

#endif
