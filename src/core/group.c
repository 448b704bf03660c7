/* group.c - no task outlives the variables of the function that started it */
#include "core/group.h"

#include "core/loop.h"

#include <errno.h>

void calm_group_begin(calm_group *opaque)
{
    struct calm__group *group = (void *)opaque;
    *group = (struct calm__group){.code = 0};
    calm__scope_push(&group->scope, CALM__GROUP);
    if (group->scope.task->cancelled)
        group->aborted = group->cancelled_outside = true;
}

static void group_abort(struct calm__group *group)
{
    group->aborted = true;
    calm__scope_cancel(&group->scope);
}

/* Thousands may fail at once: the last is remembered. */
static void errors_add(struct calm__group *group, struct calm__error *error)
{
    if (group->last_error)
        group->last_error->next = error;
    else
        group->errors = error;
    for (; error; error = error->next)
        group->last_error = error;
}

void calm__group_fail(
    struct calm__group *group, int code, struct calm__error *error)
{
    /* The chain must say which code it explains, also without a sentence. */
    if (!error && !group->errors)
        error = calm__error_new(code, calm__code_text(code));
    errors_add(group, error);
    if (group->code == 0)
        group->code = code;
    group_abort(group);
}

void calm_group_cancel(calm_group *opaque)
{
    group_abort((void *)opaque);
}

size_t calm_group_size(const calm_group *opaque)
{
    return ((const struct calm__group *)opaque)->live_count;
}

/* The children are told of any cancel by themselves; the end of the last one
 * is certain to come. */
static const struct calm__wait group_wait = {.what = "the tasks of its group"};

void calm__group_child_ended(struct calm__group *group)
{
    group->live_count--;
    if (group->live_count == 0 && group->ending)
        calm__unpark(group->scope.task, 0);
}

static void ended_free(struct calm__group *group)
{
    while (group->ended) {
        struct calm_task *task = group->ended;
        group->ended = task->sibling_next;
        calm__task_free(calm__loop_here, task);
    }
}

int calm_group_end(calm_group *opaque, int rc)
{
    struct calm__group *group = (void *)opaque;
    bool own = group->aborted && !group->cancelled_outside;
    if (rc < 0 && !(rc == -ECANCELED && group->aborted))
        calm__group_fail(group, rc, calm__error_take());
    while (group->live_count > 0) {
        group->ending = true;
        calm__park(&group_wait, group);
        group->ending = false;
    }
    ended_free(group);
    calm__scope_pop(&group->scope);
    if (group->code < 0) {
        calm__error_set(group->errors);
        return group->code;
    }
    if (group->cancelled_outside && group->scope.task->cancelled)
        return -ECANCELED;
    return own && rc == -ECANCELED ? 0 : rc;
}
