/* sync.c - mutex, event, semaphore, condition, barrier
 *
 * One list of waiters serves all: tasks linked through their own records, in
 * the order in which they came. What is given to a waiter (a lock, a permit)
 * is its from that moment, so nobody can take it in between; when the waiter
 * is cancelled before it has run, revoke() gives it to the next at once.
 */
#include "core/waiters.h"

#include <errno.h>

void calm__waiters_add(struct calm_waiters *waiters, struct calm_task *task)
{
    task->next = NULL;
    task->previous = waiters->last;
    if (waiters->last)
        waiters->last->next = task;
    else
        waiters->first = task;
    waiters->last = task;
}

void calm__waiters_remove(struct calm_waiters *waiters, struct calm_task *task)
{
    if (task->previous)
        task->previous->next = task->next;
    else
        waiters->first = task->next;
    if (task->next)
        task->next->previous = task->previous;
    else
        waiters->last = task->previous;
}

struct calm_task *calm__waiters_wake(struct calm_waiters *waiters)
{
    struct calm_task *task = waiters->first;
    if (task) {
        calm__waiters_remove(waiters, task);
        calm__unpark(task, 0);
    }
    return task;
}

int calm__waiters_park(
    struct calm_waiters *waiters, const struct calm__wait *wait, void *object)
{
    calm__waiters_add(waiters, calm__self());
    return calm__park(wait, object);
}

static void leave(struct calm_waiters *waiters, struct calm_task *task)
{
    calm__waiters_remove(waiters, task);
    calm__unpark(task, -ECANCELED);
}

/* ---- mutex ---- */

static void mutex_pass(calm_mutex *mutex)
{
    mutex->owner = calm__waiters_wake(&mutex->waiters);
}

static void mutex_cancel(struct calm_task *task, void *object)
{
    leave(&((calm_mutex *)object)->waiters, task);
}

static void mutex_revoke(struct calm_task *task, void *object)
{
    task->result = -ECANCELED;
    mutex_pass(object);
}

static struct calm_task *mutex_whom(struct calm_task *task, void *object)
{
    return ((calm_mutex *)object)->owner;
}

static const struct calm__wait mutex_wait = {
    "a lock held by", mutex_cancel, mutex_revoke, mutex_whom};

/* After a condition's wait the lock is taken however long it takes. */
static const struct calm__wait mutex_retake = {
    "a lock held by", NULL, NULL, mutex_whom};

static void mutex_take(calm_mutex *mutex, const struct calm__wait *wait)
{
    if (mutex->owner)
        calm__waiters_park(&mutex->waiters, wait, mutex);
    else
        mutex->owner = calm__self();
}

int calm_mutex_lock(calm_mutex *mutex)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct calm_task *self = calm__self();
    if (!mutex->owner) {
        mutex->owner = self;
        return 0;
    }
    if (mutex->owner == self)
        return calm_fail(
            -EDEADLK, "task '%s' holds the lock already", calm_task_name(self));
    return calm__waiters_park(&mutex->waiters, &mutex_wait, mutex);
}

int calm_mutex_try_lock(calm_mutex *mutex)
{
    if (mutex->owner)
        return -EBUSY;
    mutex->owner = calm__self();
    return 0;
}

int calm_mutex_unlock(calm_mutex *mutex)
{
    if (!mutex->owner || mutex->owner != calm__self())
        return calm_fail(-EPERM, "task '%s' does not hold the lock",
            calm_task_name(calm__self()));
    mutex_pass(mutex);
    return 0;
}

/* ---- event ---- */

static void event_cancel(struct calm_task *task, void *object)
{
    leave(&((calm_event *)object)->waiters, task);
}

static const struct calm__wait event_wait = {"an event", event_cancel};

void calm_event_set(calm_event *event)
{
    event->set = true;
    while (calm__waiters_wake(&event->waiters))
        continue;
}

void calm_event_clear(calm_event *event)
{
    event->set = false;
}

bool calm_event_is_set(const calm_event *event)
{
    return event->set;
}

int calm_event_wait(calm_event *event)
{
    int rc = calm__enter();
    if (rc < 0 || event->set)
        return rc;
    return calm__waiters_park(&event->waiters, &event_wait, event);
}

/* ---- semaphore ---- */

static void semaphore_cancel(struct calm_task *task, void *object)
{
    leave(&((calm_semaphore *)object)->waiters, task);
}

static void semaphore_revoke(struct calm_task *task, void *object)
{
    task->result = -ECANCELED;
    calm_semaphore_release(object);
}

static const struct calm__wait semaphore_wait = {
    "a permit of a semaphore", semaphore_cancel, semaphore_revoke};

void calm_semaphore_init(calm_semaphore *semaphore, int64_t permits)
{
    *semaphore = (calm_semaphore){.permits = permits};
}

int calm_semaphore_try_acquire(calm_semaphore *semaphore)
{
    if (semaphore->permits <= 0)
        return -EBUSY;
    semaphore->permits--;
    return 0;
}

int calm_semaphore_acquire(calm_semaphore *semaphore)
{
    int rc = calm__enter();
    if (rc < 0 || calm_semaphore_try_acquire(semaphore) == 0)
        return rc;
    return calm__waiters_park(&semaphore->waiters, &semaphore_wait, semaphore);
}

void calm_semaphore_release(calm_semaphore *semaphore)
{
    /* A permit given to a waiter is never counted. */
    if (semaphore->permits < 0 || !calm__waiters_wake(&semaphore->waiters))
        semaphore->permits++;
}

/* ---- condition ---- */

static void condition_cancel(struct calm_task *task, void *object)
{
    leave(&((calm_condition *)object)->waiters, task);
}

static void condition_revoke(struct calm_task *task, void *object)
{
    task->result = -ECANCELED;
    calm_condition_notify(object, 1);
}

static const struct calm__wait condition_wait = {
    "a change of a condition", condition_cancel, condition_revoke};

int calm_condition_wait(calm_condition *condition, calm_mutex *mutex)
{
    if (!mutex->owner || mutex->owner != calm__self())
        return calm_fail(-EPERM, "task '%s' does not hold the lock",
            calm_task_name(calm__self()));
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    mutex_pass(mutex);
    rc = calm__waiters_park(&condition->waiters, &condition_wait, condition);
    mutex_take(mutex, &mutex_retake);
    return rc;
}

void calm_condition_notify(calm_condition *condition, size_t count)
{
    while (count-- > 0 && calm__waiters_wake(&condition->waiters))
        continue;
}

void calm_condition_notify_all(calm_condition *condition)
{
    calm_condition_notify(condition, SIZE_MAX);
}

/* ---- barrier ---- */

static void barrier_cancel(struct calm_task *task, void *object)
{
    calm_barrier *barrier = object;
    barrier->arrived--;
    leave(&barrier->waiters, task);
}

static const struct calm__wait barrier_wait = {
    "the others at a barrier", barrier_cancel};

void calm_barrier_init(calm_barrier *barrier, size_t parties)
{
    *barrier = (calm_barrier){.parties = parties};
}

int calm_barrier_wait(calm_barrier *barrier)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (++barrier->arrived < barrier->parties)
        return calm__waiters_park(&barrier->waiters, &barrier_wait, barrier);
    barrier->arrived = 0;
    while (calm__waiters_wake(&barrier->waiters))
        continue;
    return 1;
}
