/* calm/pool.h - threads for what cannot wait, and posts from other threads
 *
 * A call that can only block (an old library, a slow device) would hold up
 * every task of the loop; calm_blocking() runs it on a pool of threads while
 * the task waits. calm_cpu() is for computation: a pool with one thread for
 * each processor, so that work does not compete with itself.
 *
 *     rc = calm_blocking(read_from_old_library, &request);
 *     rc = calm_cpu(train, &model);
 */
#ifndef CALM_POOL_H
#define CALM_POOL_H

#include <calm/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs fn(arg) on a thread of the blocking pool (up to 64 threads, started
 * when needed, ended after idling) or of the CPU pool, and waits for it.
 * Returns what FN returned, with the sentence it left by calm_fail(). FN must
 * not use tasks. When the caller is cancelled before the job has started, it
 * is dropped and the call returns -ECANCELED; a job that has started is
 * waited for, and its result returned. */
CALM_SUSPENDS int calm_blocking(calm_fn *fn, void *arg);
CALM_SUSPENDS int calm_cpu(calm_fn *fn, void *arg);

/* How many threads the CPU pool has: the processors this process may use, or
 * CALM_CPU_THREADS from the environment. Any thread. */
int calm_cpu_count(void);

/* A door to the running loop for other threads. While it is open the loop
 * waits for posts instead of calling an endless wait a deadlock. */
typedef struct calm_poster calm_poster;

/* Opens one in the loop's thread; close it there too, when no thread will
 * post any more: what was posted before still runs. NULL without memory. */
calm_poster *calm_poster_open(void);
void calm_poster_close(calm_poster *poster);

/* Any thread: runs fn(arg) on the loop's thread, soon, in the order of the
 * posts of one thread. FN must not suspend; it may set an event, spawn into a
 * group, put into a queue with room. A post made by FN itself runs in the
 * next round, after the tasks. Returns 0 or -ENOMEM. */
int calm_post(calm_poster *poster, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
