/* core/group.h - a group's record: a scope of its body, and its children */
#ifndef CALM_CORE_GROUP_H
#define CALM_CORE_GROUP_H

#include "core/scope.h"

#include <calm/gather.h>

struct calm__group {
    struct calm__scope scope; /* first; in the task that began the group */
    struct calm_task *live;   /* children that have not ended */
    struct calm_task *ended;  /* children whose names are still held */
    size_t live_count;
    struct calm__error *errors; /* sentences, the first failure's first */
    struct calm__error *last_error;
    int code;               /* the first failure, 0 if none */
    bool aborted;           /* spawns are refused */
    bool cancelled_outside; /* by a scope around it */
    bool strict;            /* a child's own -ECANCELED is a failure */
    bool ending;            /* the body waits in calm_group_end() */
};
_Static_assert(sizeof(struct calm__group) <= sizeof(calm_group), "opaque");

/* Counts a failure with its sentence (owned, may be NULL) and aborts. */
void calm__group_fail(
    struct calm__group *group, int code, struct calm__error *error);

/* As calm_spawn(), but a failure, with the lack of memory for the task itself,
 * goes to SLOT, and the group goes on as if it were none. NULL: not started. */
struct calm_task *calm__spawn_slot(
    calm_group *group, calm_fn *fn, void *arg, calm_result *slot);

/* A child has ended and has left the live ones. */
void calm__group_child_ended(struct calm__group *group);

#endif
