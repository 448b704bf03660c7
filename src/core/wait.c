/* wait.c - waiting for several tasks: the first, the first failed, all, each
 *
 * One watch of an array of tasks serves both calm_wait() and the iteration in
 * the order of completion: a record for each task that joins a list when the
 * task ends.
 */
#include "core/await.h"

#include "base/fault.h"

#include <calm/gather.h>

#include <errno.h>
#include <stdlib.h>

struct watch;

struct watched {
    struct calm__awaiter awaiter; /* first */
    struct watch *watch;
    struct calm_task *task;
    struct watched *next_ended;
    bool ended;
};

struct watch {
    struct watched *watched;
    size_t count;
    size_t ended;
    size_t failed;
    struct watched *first_ended, *last_ended;
    enum calm_wait_for what; /* when to wake the one who waits */
    struct calm_task *waiting;
};

_Static_assert(sizeof(struct watch) <= sizeof(calm_as_completed), "opaque");

static bool watch_is_over(const struct watch *watch)
{
    if (watch->ended == watch->count)
        return true;
    return (watch->what == CALM_FIRST_COMPLETED && watch->ended > 0) ||
           (watch->what == CALM_FIRST_FAILED && watch->failed > 0);
}

static void watch_wake(struct watch *watch)
{
    struct calm_task *task = watch->waiting;
    watch->waiting = NULL;
    if (task)
        calm__unpark(task, 0);
}

static void ended_add(struct watched *watched)
{
    struct watch *watch = watched->watch;
    watched->ended = true;
    watch->ended++;
    watch->failed += watched->task && watched->task->result < 0;
    if (watch->last_ended)
        watch->last_ended->next_ended = watched;
    else
        watch->first_ended = watched;
    watch->last_ended = watched;
}

static void watched_done(struct calm__awaiter *awaiter, struct calm_task *task)
{
    struct watched *watched = (void *)awaiter;
    ended_add(watched);
    struct watch *watch = watched->watch;
    if (watch_is_over(watch))
        watch_wake(watch);
}

static int watch_begin(
    struct watch *watch, calm_task *const *tasks, size_t count)
{
    *watch = (struct watch){.count = 0};
    size_t size;
    if (__builtin_mul_overflow(count, sizeof *watch->watched, &size))
        return -ENOMEM;
    watch->watched = calm__alloc(size ? size : 1);
    if (!watch->watched)
        return calm_fail(-ENOMEM, "no memory to watch %zu tasks", count);
    watch->count = count;
    for (size_t i = 0; i < count; i++) {
        struct watched *watched = &watch->watched[i];
        *watched = (struct watched){
            {.done = watched_done}, watch, tasks[i], NULL, false};
        if (calm_task_done(tasks[i]))
            ended_add(watched);
        else
            calm__awaiter_add(tasks[i], &watched->awaiter);
    }
    return 0;
}

static void watch_end(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *watched = &watch->watched[i];
        if (!watched->ended)
            calm__awaiter_remove(watched->task, &watched->awaiter);
    }
    free(watch->watched);
    *watch = (struct watch){.count = 0};
}

static void watch_cancel(struct calm_task *task, void *object)
{
    ((struct watch *)object)->waiting = NULL;
    calm__unpark(task, -ECANCELED);
}

static const struct calm__wait watch_wait = {
    .what = "tasks of a list", .cancel = watch_cancel};

static int watch_park(struct watch *watch)
{
    watch->waiting = calm__self();
    return calm__park(&watch_wait, watch);
}

int calm_wait(calm_task *const *tasks, size_t count, enum calm_wait_for what)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct watch watch;
    rc = watch_begin(&watch, tasks, count);
    if (rc < 0)
        return rc;
    watch.what = what;
    while (rc == 0 && !watch_is_over(&watch))
        rc = watch_park(&watch);
    size_t ended = watch.ended;
    watch_end(&watch);
    return rc < 0 ? rc : (int)ended;
}

int calm_as_completed_begin(
    calm_as_completed *iterator, calm_task *const *tasks, size_t count)
{
    struct watch *watch = (void *)iterator;
    int rc = watch_begin(watch, tasks, count);
    watch->what = CALM_FIRST_COMPLETED;
    return rc;
}

int calm_as_completed_next(calm_as_completed *iterator, calm_task **ret_task)
{
    struct watch *watch = (void *)iterator;
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (!watch->first_ended) {
        if (watch->ended == watch->count)
            return 0;
        rc = watch_park(watch);
        if (rc < 0)
            return rc;
    }
    struct watched *watched = watch->first_ended;
    watch->first_ended = watched->next_ended;
    if (!watch->first_ended)
        watch->last_ended = NULL;
    *ret_task = watched->task;
    return 1;
}

void calm_as_completed_end(calm_as_completed *iterator)
{
    watch_end((void *)iterator);
}
