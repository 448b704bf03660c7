/* core/scope.h - what a cancel travels along
 *
 * A task has a chain of scopes, the innermost first: timeouts, groups whose
 * body it runs, shields. A task is cancelled, as its code sees it, when a
 * scope between the innermost and the first shield is cancelled, or, if there
 * is no shield, when the task itself is.
 *
 *     task A: timeout <- group <- shield <- timeout      (innermost right)
 *                          |
 *                       children B, C
 *
 * When a scope is cancelled, so are all tasks in the groups inside of it,
 * except for groups inside of a shield that is inside of it, too.
 */
#ifndef CALM_CORE_SCOPE_H
#define CALM_CORE_SCOPE_H

#include "core/sched.h"

enum calm__scope_kind { CALM__TIMEOUT, CALM__GROUP, CALM__SHIELD };

struct calm__scope {
    struct calm__scope *outer;
    struct calm_task *task;
    uint8_t kind;
    bool cancelled;
    bool no_memory; /* a timeout without a place in the heap */
};

/* Pushes SCOPE onto the running task's chain; pops it, which must be its
 * innermost. */
void calm__scope_push(struct calm__scope *scope, enum calm__scope_kind kind);
void calm__scope_pop(struct calm__scope *scope);

/* Marks SCOPE cancelled and tells all that is inside of it. */
void calm__scope_cancel(struct calm__scope *scope);

/* Whether the code around SCOPE is cancelled, SCOPE itself aside. */
bool calm__scope_cancelled_outside(const struct calm__scope *scope);

#endif
