/* scope.c - cancelling, timeouts, shields and sleep
 *
 * A cancel is a mark on a scope. It is spread at once to everything inside,
 * by a list of tasks to be told and not by recursion: groups may nest deeper
 * than a stack. A task that is told while parked has its wait ended; one that
 * runs or is ready sees the mark at its next suspending call.
 */
#include "core/scope.h"

#include "core/group.h"
#include "core/loop.h"

#include <assert.h>
#include <errno.h>

struct timeout {
    struct calm__scope scope;
    struct calm__timer timer;
};
_Static_assert(sizeof(struct timeout) <= sizeof(calm_timeout), "opaque");
_Static_assert(sizeof(struct calm__scope) <= sizeof(calm_shield), "opaque");

/* ---- the chain ---- */

static bool cancelled_from(
    const struct calm_task *task, const struct calm__scope *scope)
{
    for (; scope; scope = scope->outer) {
        if (scope->kind == CALM__SHIELD)
            return false;
        if (scope->cancelled)
            return true;
    }
    return task->cancel_requested;
}

void calm__scope_push(struct calm__scope *scope, enum calm__scope_kind kind)
{
    struct calm_task *task = calm__self();
    if (!task)
        calm__fatal("calm: a scope was begun outside of a task");
    *scope =
        (struct calm__scope){.outer = task->scope, .task = task, .kind = kind};
    task->scope = scope;
}

void calm__scope_pop(struct calm__scope *scope)
{
    struct calm_task *task = scope->task;
    if (task->scope != scope)
        calm__fatal("calm: task '%s': scopes must end in the reverse order of "
                    "their beginning",
            calm_task_name(task));
    task->scope = scope->outer;
    task->cancelled = cancelled_from(task, task->scope);
}

bool calm__scope_cancelled_outside(const struct calm__scope *scope)
{
    return cancelled_from(scope->task, scope->outer);
}

/* ---- spreading a cancel ---- */

/* Ends the wait of a task that has just become cancelled. */
static void task_told(struct calm_task *task)
{
    if (task->cancelled || !cancelled_from(task, task->scope))
        return;
    task->cancelled = true;
    const struct calm__wait *wait = task->wait;
    if (!wait)
        return;
    if (task->state == CALM__WAITING && wait->cancel)
        wait->cancel(task, task->wait_object);
    else if (task->state == CALM__READY && task->result >= 0 && wait->revoke)
        wait->revoke(task, task->wait_object);
}

/* To the tasks still to be told, linked through CANCEL_NEXT. */
static void told_add(struct calm__loop *loop, struct calm_task *task)
{
    task->cancel_requested = true;
    task->cancel_next = loop->told;
    loop->told = task;
}

static void group_tell(struct calm__loop *loop, struct calm__group *group)
{
    group->aborted = true;
    for (struct calm_task *child = group->live; child;
         child = child->sibling_next)
        if (!child->cancel_requested)
            told_add(loop, child);
}

/* UPTO in TASK was cancelled, or the task itself when it is NULL: the groups
 * inside, but not those inside of a shield, are to be told. */
static void groups_tell(
    struct calm__loop *loop, struct calm_task *task, struct calm__scope *upto)
{
    struct calm__scope *from = task->scope;
    for (struct calm__scope *s = task->scope; s && s != upto; s = s->outer)
        if (s->kind == CALM__SHIELD)
            from = s->outer;
    for (struct calm__scope *s = from; s; s = s->outer) {
        if (s->kind == CALM__GROUP) {
            struct calm__group *group = (void *)s;
            bool over = group->ending && group->live_count == 0;
            group->cancelled_outside |= s != upto && !over;
            group_tell(loop, group);
        }
        if (s == upto)
            break;
    }
}

/* A task that awaits another passes its cancel on to that from in here: the
 * other only joins the list, as a chain of awaits may be of any length. */
static void tell_all(struct calm__loop *loop)
{
    if (loop->telling)
        return;
    loop->telling = true;
    while (loop->told) {
        struct calm_task *task = loop->told;
        loop->told = task->cancel_next;
        groups_tell(loop, task, NULL);
        task_told(task);
    }
    loop->telling = false;
}

void calm__scope_cancel(struct calm__scope *scope)
{
    if (scope->cancelled)
        return;
    scope->cancelled = true;
    struct calm__loop *loop = calm__loop_here;
    groups_tell(loop, scope->task, scope);
    tell_all(loop);
    task_told(scope->task);
}

void calm_cancel(calm_task *task)
{
    if (!task || task->state >= CALM__ENDED || task->cancel_requested)
        return;
    told_add(calm__loop_here, task);
    tell_all(calm__loop_here);
}

bool calm_cancelled(void)
{
    struct calm_task *task = calm__self();
    return task && task->cancelled;
}

/* ---- time ---- */

static int64_t deadline_after(int64_t duration)
{
    int64_t now = calm_now(), deadline;
    if (duration < 0)
        duration = 0;
    return __builtin_add_overflow(now, duration, &deadline) ? CALM_FOREVER
                                                            : deadline;
}

struct sleep {
    struct calm__timer timer;
    struct calm_task *task;
};

void calm__timer_fire(struct calm__timer *timer)
{
    if (timer->kind == CALM__TIMER_SLEEP) {
        struct sleep *sleep = (void *)timer;
        calm__unpark(sleep->task, 0);
    } else if (timer->kind == CALM__TIMER_ALARM) {
        struct calm__alarm *alarm = (void *)timer;
        alarm->ring(alarm);
    } else {
        struct timeout *timeout =
            (void *)((char *)timer - offsetof(struct timeout, timer));
        calm__scope_cancel(&timeout->scope);
    }
}

static void sleep_cancel(struct calm_task *task, void *object)
{
    struct sleep *sleep = object;
    calm__heap_remove(&calm__loop_here->timers, &sleep->timer);
    calm__unpark(task, -ECANCELED);
}

static const struct calm__wait sleep_wait = {
    .what = "the end of a sleep", .cancel = sleep_cancel};

/* A CALM_FOREVER that nobody can end but a cancel has no place in the heap. */
static void forever_cancel(struct calm_task *task, void *object)
{
    calm__unpark(task, -ECANCELED);
}

static const struct calm__wait forever_wait = {
    .what = "a cancel, as it sleeps for ever", .cancel = forever_cancel};

int calm_sleep_until(int64_t time)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (time == CALM_FOREVER)
        return calm__park(&forever_wait, NULL);
    struct calm__heap *timers = &calm__loop_here->timers;
    if (calm__heap_reserve(timers, timers->count + 1) < 0)
        return calm_fail(-ENOMEM, "no memory for a timer");
    struct sleep sleep = {
        {.deadline = time, .kind = CALM__TIMER_SLEEP}, calm__self()};
    calm__heap_insert(timers, &sleep.timer);
    return calm__park(&sleep_wait, &sleep);
}

int calm_sleep(int64_t duration)
{
    if (duration <= 0)
        return calm_checkpoint();
    return calm_sleep_until(
        duration == CALM_FOREVER ? CALM_FOREVER : deadline_after(duration));
}

/* ---- timeouts ---- */

static void timeout_arm(struct timeout *timeout, int64_t time)
{
    timeout->timer =
        (struct calm__timer){.deadline = time, .kind = CALM__TIMER_TIMEOUT};
    if (time == CALM_FOREVER)
        return;
    struct calm__heap *timers = &calm__loop_here->timers;
    if (time <= calm_now()) {
        calm__scope_cancel(&timeout->scope);
    } else if (calm__heap_reserve(timers, timers->count + 1) < 0) {
        timeout->scope.no_memory = true;
        calm__scope_cancel(&timeout->scope);
    } else {
        calm__heap_insert(timers, &timeout->timer);
    }
}

void calm_timeout_begin_at(calm_timeout *opaque, int64_t time)
{
    struct timeout *timeout = (void *)opaque;
    calm__scope_push(&timeout->scope, CALM__TIMEOUT);
    timeout_arm(timeout, time);
}

void calm_timeout_begin(calm_timeout *opaque, int64_t duration)
{
    calm_timeout_begin_at(opaque, deadline_after(duration));
}

int calm_timeout_reset(calm_timeout *opaque, int64_t duration)
{
    struct timeout *timeout = (void *)opaque;
    if (timeout->scope.cancelled)
        return -ETIMEDOUT;
    calm__heap_remove(&calm__loop_here->timers, &timeout->timer);
    timeout_arm(timeout, deadline_after(duration));
    return 0;
}

int calm_timeout_end(calm_timeout *opaque, int rc)
{
    struct timeout *timeout = (void *)opaque;
    calm__heap_remove(&calm__loop_here->timers, &timeout->timer);
    calm__scope_pop(&timeout->scope);
    if (!timeout->scope.cancelled || rc != -ECANCELED ||
        timeout->scope.task->cancelled)
        return rc;
    if (timeout->scope.no_memory)
        return calm_fail(-ENOMEM, "no memory for a timer");
    calm_error_clear();
    return -ETIMEDOUT;
}

bool calm_timeout_expired(const calm_timeout *opaque)
{
    const struct timeout *timeout = (const void *)opaque;
    return timeout->scope.cancelled;
}

int calm_with_timeout(int64_t duration, int (*fn)(void *arg), void *arg)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, duration);
    return calm_timeout_end(&timeout, fn(arg));
}

/* ---- shields ---- */

void calm_shield_begin(calm_shield *shield)
{
    struct calm__scope *scope = (void *)shield;
    calm__scope_push(scope, CALM__SHIELD);
    scope->task->cancelled = false;
}

void calm_shield_end(calm_shield *shield)
{
    calm__scope_pop((void *)shield);
}
