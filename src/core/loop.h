/* core/loop.h - the loop's own record, for the files of core that turn it */
#ifndef CALM_CORE_LOOP_H
#define CALM_CORE_LOOP_H

#include "core/sched.h"
#include "core/stack.h"

#include <stdlib.h>

enum {
    CALM__STEPS = 61,   /* task steps between two polls, at most */
    CALM__CREDIT = 256, /* suspending calls that need not wait, in a row */
    CALM__SLOW_TICKS = 11,
};

/* What a timer of the loop's heap is, in its field kind. */
enum {
    CALM__TIMER_SLEEP,
    CALM__TIMER_TIMEOUT,
    CALM__TIMER_ALARM,
};

struct calm__loop {
    /* The queue of ready tasks: a ring that doubles when full. */
    struct calm_task **ready;
    uint32_t head, tail, mask;

    uint32_t steps; /* left until the next poll */
    uint32_t step_quota;
    uint32_t credit;
    uint32_t ticks_seen;
    const _Atomic uint32_t *ticks;

    struct calm_task self; /* the loop's own stack, as a place to switch to */
    int *errno_here;
    struct calm__stacks stacks;
    struct calm__stack self_stack; /* bounds, for the address sanitizer */

    struct calm__heap timers;
    int64_t now; /* virtual, or as of the last poll */
    bool deadlocked;

    struct calm__backend *backend;
    size_t expected; /* posts that are certain to come */
    size_t doors;    /* open to posts that may come */
    _Atomic(struct calm__post *) posts;
    atomic_bool sleeping;
    atomic_int posting; /* threads inside of calm__loop_post() */

    struct calm_task *free_tasks;
    struct calm__task_slab *task_slabs;
    struct calm_task *told; /* of a cancel that is being spread */
    bool telling;
    size_t live_count; /* tasks that have not ended */
    uint64_t next_id;
    uint64_t steps_done;

    struct calm_task *main;
    struct calm__error *report; /* of the deadlock that ended the run */

    struct calm__loop_config config;
};

/* loop.c: the queue and the switch. */
bool calm__ready_reserve(struct calm__loop *loop, size_t count);
void calm__ready_push(struct calm__loop *loop, struct calm_task *task);
void calm__loop_yield(struct calm__loop *loop, struct calm_task *task);
void calm__loop_report(struct calm__loop *loop, const char *text);

/* post.c: runs what other threads posted; whether there was any. */
bool calm__posts_run(struct calm__loop *loop);

/* scope.c: a timer of the heap has come. */
void calm__timer_fire(struct calm__timer *timer);

/* report.c: the names of all waiting tasks and what they wait for; and the end
 * of all waits that can be ended by force, with -EDEADLK. */
struct calm__error *calm__deadlock_report(struct calm__loop *loop);
void calm__waits_break(struct calm__loop *loop);

/* task.c */
struct calm_task *calm__task_new(
    struct calm__loop *loop, calm_fn *fn, void *arg);
void calm__task_end(struct calm__loop *loop, struct calm_task *task, int rc);
void calm__task_free(struct calm__loop *loop, struct calm_task *task);
void calm__task_slabs_free(struct calm__loop *loop);

/* Calls VISIT for every record that is in use. */
void calm__tasks_visit(struct calm__loop *loop,
    void (*visit)(struct calm_task *task, void *ctx), void *ctx);

/* Ends the process: a bug in the program that cannot be survived, such as a
 * stack that has overwritten its neighbour. */
_Noreturn void calm__fatal(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
