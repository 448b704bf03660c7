/* blocking.c - calls that a task makes on a thread of a pool
 *
 * The job is on the stack of the task that waits for it: nothing is allocated
 * but the sentence of an error, which travels from the thread's slot to the
 * task's.
 */
#include "core/sched.h"
#include "host/pool.h"

#include <calm/pool.h>

#include <errno.h>

struct call {
    struct calm__job job; /* first: the two are cast to each other */
    struct calm__pool *pool;
    struct calm_task *task;
    calm_fn *fn;
    void *arg;
    int result;
    struct calm__error *error;
};

/* In a thread of the pool. */
static void call_work(struct calm__job *job)
{
    struct call *call = (struct call *)job;
    calm_error_clear();
    call->result = call->fn(call->arg);
    call->error = calm__error_take();
}

/* Back on the loop's stack. */
static void call_done(struct calm__post *post)
{
    struct call *call = (struct call *)post;
    calm__loop_expect(call->job.loop, -1);
    calm__unpark(call->task, 0);
}

static void call_cancel(struct calm_task *task, void *object)
{
    struct call *call = object;
    if (!calm__pool_drop(call->pool, &call->job))
        return; /* it has begun: its end will come */
    calm__loop_expect(call->job.loop, -1);
    calm__unpark(task, -ECANCELED);
}

static int call_on(struct calm__pool *pool, const struct calm__wait *wait,
    calm_fn *fn, void *arg)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct call call = {
        .job =
            {
                .post.run = call_done,
                .work = call_work,
                .loop = calm__loop_here,
            },
        .pool = pool,
        .task = calm__self(),
        .fn = fn,
        .arg = arg,
    };
    calm__loop_expect(call.job.loop, 1);
    rc = calm__pool_start(pool, &call.job);
    if (rc < 0) {
        calm__loop_expect(call.job.loop, -1);
        errno = -rc;
        return calm_fail(rc,
            "cannot start a thread of the %s: %m\n"
            "hint: raise the limit of processes, 'ulimit -u'",
            calm__pool_name(pool));
    }
    rc = calm__park(wait, &call);
    if (rc < 0)
        return rc;
    if (call.error)
        calm__error_set(call.error);
    return call.result;
}

int calm_blocking(calm_fn *fn, void *arg)
{
    static const struct calm__wait wait = {
        .what = "a blocking call",
        .cancel = call_cancel,
    };
    return call_on(&calm__blocking_pool, &wait, fn, arg);
}

int calm_cpu(calm_fn *fn, void *arg)
{
    static const struct calm__wait wait = {
        .what = "a computation",
        .cancel = call_cancel,
    };
    return call_on(&calm__cpu_pool, &wait, fn, arg);
}
