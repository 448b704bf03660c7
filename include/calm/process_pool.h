/* calm/process_pool.h - functions that run in processes of their own
 *
 * For work that must be isolated, because it may crash, or that is not safe
 * beside other threads: the same form as calm_map(), but each item goes to a
 * worker process, and comes back with what the function made of it.
 *
 *     int main(void)
 *     {
 *         calm_process_pool *pool;
 *         int rc = calm_process_pool_open(NULL, &pool);
 *         if (rc == 0)
 *             rc = calm_run(work, pool);
 *         calm_process_pool_close(pool);
 *         return rc < 0;
 *     }
 *
 *     static int work(void *pool)
 *     {
 *         struct image images[100] = ...;
 *         return calm_process_map(pool, classify, images, 100, sizeof *images,
 *             NULL);
 *     }
 *
 * The pool is opened before calm_run() and before anything else has started a
 * thread. A copy of the program as it is at that moment, the template, stays
 * behind, and all workers are copies of it: they know the program's functions
 * and what its variables held then, and nothing that came later. Workers start
 * when they are first needed, serve one item after the other, and keep what a
 * function stores in static variables, such as a model that it loads once.
 *
 * A worker has the standard streams, with nothing to read, and no other
 * descriptor. It ignores SIGINT, which a terminal sends to all: what is to end
 * is the program's decision. When the program dies, however, so do they.
 */
#ifndef CALM_PROCESS_POOL_H
#define CALM_PROCESS_POOL_H

#include <calm/gather.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_process_pool calm_process_pool;

/* Options; zero means default. */
typedef struct calm_process_pool_opts {
    int processes;  /* 1 to 256; default calm_cpu_count() */
    size_t largest; /* the most bytes of an item; default 1 MiB, up to 1 GiB */
} calm_process_pool_opts;

/* Opens a pool; OPTS may be NULL. What the program has not yet written of its
 * standard output stays the program's alone. Does not suspend.
 *
 * Returns 0 and the pool, or -EBUSY when the process has further threads, a
 * run among them, -EINVAL, -ENOMEM, -EMFILE or -EAGAIN, with a sentence. */
int calm_process_pool_open(const calm_process_pool_opts *opts,
    calm_process_pool **ret_pool) __attribute__((warn_unused_result));

/* Kills the workers, waits for their end, and frees the pool; NULL is fine.
 * No task may be using it. Blocks for a few milliseconds; never fails. */
void calm_process_pool_close(calm_process_pool *pool);

/* Runs fn(item) for each of COUNT items of SIZE bytes in the workers, one item
 * a worker at a time. A worker works on a copy of the item; when FN has
 * returned the bytes are copied back. Pointers in them make sense only to what
 * was there before the pool was opened. OPTS are those of calm_map(); the
 * limit is at most the number of workers. Items that wait take no memory.
 *
 * FN runs on its process's main thread, outside of any task; it may begin a
 * calm_run() of its own. What it returns, and the sentence that it left by
 * calm_fail(), is the item's result. A worker that crashes, is killed or calls
 * exit() gives -EPROTO for the item that it had begun, with a sentence that
 * says how it ended, and is replaced; so is one that ended in between, which
 * nobody sees. Other items do not suffer.
 *
 * Returns as calm_map() does. A cancel, also a timeout's, kills the workers
 * that are at work for the caller: their items are unchanged and -ECANCELED.
 * An answer that was there before the cancel counts. Further errors: of an
 * item, CALM_ELIMIT when SIZE is beyond the pool's largest, -EAGAIN or -ENOMEM
 * when no process could be started, -EPIPE when the template was killed, and
 * then for all that follows; -EBUSY when the loop of another thread is using
 * the pool. */
CALM_SUSPENDS int calm_process_map(calm_process_pool *pool, calm_fn *fn,
    void *items, size_t count, size_t size, const calm_map_opts *opts);

/* The same for one item: returns what FN returned, or an error as above. Tasks
 * that wait for a free worker get one in the order in which they came. */
CALM_SUSPENDS int calm_process_call(
    calm_process_pool *pool, calm_fn *fn, void *item, size_t size);

/* How many workers there are at most. */
int calm_process_pool_count(const calm_process_pool *pool);

/* The process id of worker INDEX, for messages and for /proc; 0 while it has
 * no process. */
pid_t calm_process_pool_id(const calm_process_pool *pool, int index);

#ifdef __cplusplus
}
#endif
#endif
