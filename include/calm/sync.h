/* calm/sync.h - tasks that wait for each other
 *
 * The tasks of a loop share a thread, so plain variables need no lock between
 * two suspending calls. These are for what spans one: a lock held while
 * waiting, a limit, a signal. All are good when zeroed, except for numbers
 * given to their init call; none holds memory, so nothing is to be cleared,
 * but nobody may be waiting when they go away. Waiters are served in the
 * order in which they came; what is handed to a waiter who is cancelled
 * before it runs goes to the next.
 *
 * Every suspending call returns 0, or -ECANCELED when the task is cancelled.
 * Not for other threads: see calm/pool.h.
 */
#ifndef CALM_SYNC_H
#define CALM_SYNC_H

#include <calm/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_waiters {
    calm_task *first, *last;
} calm_waiters;

/* A lock that one task holds across suspending calls. */
typedef struct calm_mutex {
    calm_task *owner;
    calm_waiters waiters;
} calm_mutex;

/* Takes the lock. -EDEADLK when the caller holds it already. */
CALM_SUSPENDS int calm_mutex_lock(calm_mutex *mutex)
    __attribute__((warn_unused_result));

/* Takes it if it is free, else -EBUSY. Does not suspend. */
int calm_mutex_try_lock(calm_mutex *mutex) __attribute__((warn_unused_result));

/* Gives it to the first waiter. -EPERM when the caller does not hold it. */
int calm_mutex_unlock(calm_mutex *mutex);

/* A flag that tasks wait for; it stays set until cleared. */
typedef struct calm_event {
    bool set;
    calm_waiters waiters;
} calm_event;

void calm_event_set(calm_event *event);
void calm_event_clear(calm_event *event);
bool calm_event_is_set(const calm_event *event);

/* Returns when the flag is set, at once if it is. */
CALM_SUSPENDS int calm_event_wait(calm_event *event);

/* A number of permits: at most so many tasks at once. */
typedef struct calm_semaphore {
    int64_t permits;
    calm_waiters waiters;
} calm_semaphore;

void calm_semaphore_init(calm_semaphore *semaphore, int64_t permits);
CALM_SUSPENDS int calm_semaphore_acquire(calm_semaphore *semaphore)
    __attribute__((warn_unused_result));

/* -EBUSY when there is no permit. Does not suspend. */
int calm_semaphore_try_acquire(calm_semaphore *semaphore)
    __attribute__((warn_unused_result));
void calm_semaphore_release(calm_semaphore *semaphore);

/* Waiting for a change of what a mutex protects:
 *
 *     calm_mutex_lock(&lock);
 *     while (rc == 0 && !ready)
 *         rc = calm_condition_wait(&changed, &lock);
 *     calm_mutex_unlock(&lock);
 */
typedef struct calm_condition {
    calm_waiters waiters;
} calm_condition;

/* Gives up MUTEX, waits for a notify, and takes MUTEX again; it is held on
 * return in any case, also after a cancel. -EPERM when it was not held. */
CALM_SUSPENDS int calm_condition_wait(
    calm_condition *condition, calm_mutex *mutex);

/* Wakes the first COUNT waiters, or all. Call it with the mutex held: between
 * a test of what it protects and the wait another task may run. */
void calm_condition_notify(calm_condition *condition, size_t count);
void calm_condition_notify_all(calm_condition *condition);

/* A point that PARTIES tasks pass together, again and again. */
typedef struct calm_barrier {
    size_t parties;
    size_t arrived;
    calm_waiters waiters;
} calm_barrier;

void calm_barrier_init(calm_barrier *barrier, size_t parties);

/* Waits until as many have arrived as there are parties. Returns 1 to the one
 * who completed the round, 0 to the others. A waiter who is cancelled has not
 * arrived. */
CALM_SUSPENDS int calm_barrier_wait(calm_barrier *barrier);

/* A limit of so much per time, a token bucket: it fills at an even pace up to
 * BURST, and what is taken must be in it. Requests take 1 each; what has no
 * size of its own before it is done takes an estimate, and puts the difference
 * right afterwards by calm_rate_give().
 *
 *     calm_rate rate;
 *     calm_rate_init(&rate, 10, CALM_S, 1);         10 a second, evenly
 *     while (... && calm_rate_take(&rate, 1) == 0)
 *         send();
 */
typedef struct calm_rate {
    double pace;  /* per nanosecond */
    double burst; /* the most that it holds */
    double level; /* what it holds at AT; below zero after a debt */
    int64_t at;
    calm_mutex turn; /* those who wait, in their order */
} calm_rate;

/* AMOUNT per PERIOD, both above zero; the bucket begins full. */
void calm_rate_init(
    calm_rate *rate, double amount, int64_t period, double burst);

/* Takes AMOUNT when it is there, and waits for it in the order of asking. More
 * than BURST is given as soon as the bucket is full, and leaves a debt. A
 * waiter who is cancelled has taken nothing. */
CALM_SUSPENDS int calm_rate_take(calm_rate *rate, double amount)
    __attribute__((warn_unused_result));

/* How long until AMOUNT could be taken, if nobody else takes any; 0: now. Does
 * not suspend. */
int64_t calm_rate_wait(const calm_rate *rate, double amount);

/* Puts AMOUNT back, or takes it at once and without asking when it is below
 * zero, which may leave a debt. Does not suspend. */
void calm_rate_give(calm_rate *rate, double amount);

#ifdef __cplusplus
}
#endif
#endif
