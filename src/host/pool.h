/* host/pool.h - threads that run jobs for the loops of the process
 *
 * The life of a job:
 *
 *     the loop fills it -> start() -> QUEUED -> TAKEN -> post -> its run()
 *                           drop() |
 *                                  +-> the loop's again
 *
 * From start() on the job belongs to the pool, until drop() has returned true
 * or its post runs, on the stack of the loop that it came from. Who starts
 * one sees to it that the loop lives until then (calm__loop_expect).
 */
#ifndef CALM_HOST_POOL_H
#define CALM_HOST_POOL_H

#include "core/sched.h"

struct calm__job {
    struct calm__post post; /* first; brings the job back to the loop */
    struct calm__job *next, *previous;

    /* Runs in a thread of the pool. NULL once a thread has taken the job:
     * it has begun and cannot be dropped any more. */
    void (*work)(struct calm__job *job);
    struct calm__loop *loop;
};

struct calm__pool;

extern struct calm__pool calm__blocking_pool; /* up to 64 threads */
extern struct calm__pool calm__cpu_pool;      /* one for each processor */

/* Starts the jobs of a chain linked by next, in order. Returns 0, or, when
 * there is no thread and none can be made, a negative errno and has taken
 * none of them. */
int calm__pool_start(struct calm__pool *pool, struct calm__job *first);

/* Takes a job back that no thread has taken yet. */
bool calm__pool_drop(struct calm__pool *pool, struct calm__job *job);

/* Ends the idle threads and waits for them. No run lasts any more. */
void calm__pool_close(struct calm__pool *pool);

/* For sentences: "blocking pool". */
const char *calm__pool_name(const struct calm__pool *pool);

#endif
