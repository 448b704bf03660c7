/* core/sched.h - tasks and the loop that runs them, as the inside sees them
 *
 * The loop of a thread holds a queue of tasks that can run. A task that has
 * to wait parks itself with a description of what it waits for, and whoever
 * makes that happen unparks it with a result. Tasks switch to each other
 * directly; the loop's own stack comes in between only to poll.
 *
 *              spawn            switch               return
 *     (none) --------> READY <----------> RUNNING -----------> ENDED
 *                        ^                   |
 *                 unpark |                   | park
 *                        +----- WAITING <----+
 */
#ifndef CALM_CORE_SCHED_H
#define CALM_CORE_SCHED_H

#include "base/error.h"
#include "base/heap.h"
#include "core/backend.h"

#include <calm/run.h>
#include <calm/task.h>
#include <calm/time.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calm__group;
struct calm__scope;
struct calm__stack;
struct calm__awaiter;
struct calm__local_value;

/* What a parked task waits for. One constant for each kind of wait. */
struct calm__wait {
    /* For reports: "a lock", "the end of a task". */
    const char *what;

    /* The task is cancelled while it is parked: takes it out of whatever list
     * it waits in and unparks it with -ECANCELED, or starts what leads there;
     * may do nothing where the end is certain to come. */
    void (*cancel)(struct calm_task *task, void *object);

    /* The task is cancelled after it was unparked with 0 but before it ran:
     * hands what it was given to the next in line; its wait then returns
     * -ECANCELED. NULL: the completion wins. */
    void (*revoke)(struct calm_task *task, void *object);

    /* For reports: the task that must act first, or NULL if unknown. */
    struct calm_task *(*whom)(struct calm_task *task, void *object);

    /* It waits for the end of whom(), and cancel() only passes the cancel on
     * to that. */
    bool for_end;
};

enum calm__state {
    CALM__READY,   /* in the loop's queue */
    CALM__RUNNING, /* on the processor */
    CALM__WAITING, /* parked; its wait says where */
    CALM__ENDED,   /* kept for its awaiters, until released */
    CALM__FREE,    /* in the slab: a name that is used still is a bug */
};

/* An unstarted task has nothing else. */
struct calm_task {
    struct calm__context context; /* first: calm__context is the task */
    void *stack_pointer;          /* NULL before it has first left its stack */
    uint32_t mxcsr;
    uint16_t control_word;
    uint8_t state;
    bool cancel_requested; /* calm_cancel() was called */
    bool cancelled;        /* as seen from its innermost scope */
    bool released;         /* no name is held outside */
    int result;            /* the wait's while parked, the task's when ended */
    int saved_errno;

    struct calm__stack *stack;
    calm_fn *fn;
    void *arg;
    struct calm__scope *scope; /* innermost */

    const struct calm__wait *wait;
    void *wait_object;
    struct calm_task *next, *previous; /* in the list that it waits in */

    struct calm__group *group;
    struct calm_task *sibling_next, *sibling_previous;
    struct calm_task *cancel_next; /* among those to be told of a cancel */
    struct calm__awaiter *awaiters;
    void *slot; /* struct calm_result of a gather */

    uint64_t id;
    struct calm__details *details; /* name and locals: most have none */
};

_Static_assert(sizeof(struct calm_task) <= 192, "three cache lines");

struct calm__loop;

/* The running task, NULL outside of a run or on the loop's own stack. */
static inline struct calm_task *calm__self(void)
{
    return (struct calm_task *)calm__context;
}

/* The loop of this thread; NULL outside of a run. */
extern CALM__THREAD struct calm__loop *calm__loop_here;

/* Every suspending call begins with this: -ECANCELED when the task is
 * cancelled, -EPERM outside of a task, else 0. Now and then it lets other
 * tasks run, so that a row of calls that never has to wait is fair too. */
int calm__enter(void);

/* Parks the running task until it is unparked; returns the result. The caller
 * has made sure that somebody will. */
int calm__park(const struct calm__wait *wait, void *object);

/* Makes a parked task ready. Only on the loop's thread. */
void calm__unpark(struct calm_task *task, int result);

/* Starts OP and waits until it is done; returns its result, capped to int. A
 * cancel asks the backend for an early end; the result is -ECANCELED only if
 * the operation did not take effect. */
int calm__op_wait(struct calm__op *op, const char *what);

/* A timer of the loop that calls a function, on the loop's own stack; the
 * function must not suspend. The place in the heap is kept from open() to
 * close(), so that setting it cannot fail. */
struct calm__alarm {
    struct calm__timer timer; /* first: the two are cast to each other */
    void (*ring)(struct calm__alarm *alarm);
    struct calm__loop *loop;
};

/* For the loop of this thread. Returns 0 or -ENOMEM. */
int calm__alarm_open(
    struct calm__alarm *alarm, void (*ring)(struct calm__alarm *alarm));

/* Rings once at TIME, in place of the time it was set for; CALM_FOREVER: not
 * at all. */
void calm__alarm_set(struct calm__alarm *alarm, int64_t time);
void calm__alarm_close(struct calm__alarm *alarm);

/* The time as of the loop's last poll: a load, where calm_now() may be a call
 * of the kernel's. And whether it is a virtual one, beside which the clocks of
 * other libraries go on. */
int64_t calm__loop_time(const struct calm__loop *loop);
bool calm__loop_is_virtual(const struct calm__loop *loop);

/* An operation in flight that waits for a descriptor becomes idle, or is
 * waited for again. Before it is started the field is simply set. */
void calm__op_set_idle(struct calm__op *op, bool idle);

/* What another thread hands to the loop. Lives until run() was called, which
 * happens on the loop's stack; run() must not suspend, and may free it. */
struct calm__post {
    struct calm__post *next;
    void (*run)(struct calm__post *post);
};

/* Any thread, but the loop must live: see calm__loop_expect. */
void calm__loop_post(struct calm__loop *loop, struct calm__post *post);

/* Loop's thread: so many more (or fewer) posts are certain to come, of jobs
 * on a pool. Until they came the run neither ends, nor is it deadlocked, nor
 * does the virtual clock jump. */
void calm__loop_expect(struct calm__loop *loop, int change);

/* The same for doors that are open to posts that may come: no deadlock. */
void calm__loop_open_door(struct calm__loop *loop, int change);

struct calm__backend *calm__loop_backend(struct calm__loop *loop);

/* Cancels the main task, as SIGINT does. Loop's thread. */
void calm__loop_cancel_main(struct calm__loop *loop);

/* The task whose stack has ADDRESS in its guard, for the report of an
 * overflow; NULL if none. Safe in a signal handler on the loop's thread. */
struct calm_task *calm__task_of_guard(const void *address);

/* What host/run.c puts together. */
struct calm__loop_config {
    size_t stack_size;
    bool virtual_clock;
    void (*report)(void *ctx, const char *text);
    void *report_ctx;

    /* Counts up every 10 ms while a run lasts, from another thread: how the
     * loop notices slow steps without reading a clock at each. */
    const _Atomic uint32_t *ticks;
};

/* A loop for this thread. The caller opens a backend for it, runs, and closes
 * the backend before the loop. Returns NULL without memory. */
struct calm__loop *calm__loop_open(const struct calm__loop_config *config);
int calm__loop_run(struct calm__loop *loop, struct calm__backend *backend,
    calm_fn *main, void *arg);
void calm__loop_close(struct calm__loop *loop);

#endif
