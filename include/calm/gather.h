/* calm/gather.h - many tasks as one call
 *
 * calm_gather() runs different functions at once, calm_map() one function over
 * an array. Both wait for all of them; both keep argument order, whatever the
 * order of completion:
 *
 *     rc = calm_gather((calm_call[]){{download, &model}, {load, &data}}, 2,
 *         NULL);
 *     rc = calm_map(classify, images, count, sizeof *images,
 *         &(calm_map_opts){.limit = 64});
 *
 * Without an array for results they fail fast: the first error cancels the
 * rest, waits for them, and is returned. With one, all run to their end and
 * each slot holds its own code and sentence.
 */
#ifndef CALM_GATHER_H
#define CALM_GATHER_H

#include <calm/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A function and its argument. */
typedef struct calm_call {
    calm_fn *fn;
    void *arg;
} calm_call;

/* What became of one of many: the code that it returned and, when that is
 * negative, its sentence, cut to fit. */
typedef struct calm_result {
    int code;
    char message[124];
} calm_result;

/* Runs COUNT calls at once. RET_RESULTS has COUNT slots or is NULL.
 *
 * Returns 0 when all were good (with results: when all have ended, however),
 * else the first error; -ECANCELED when the caller is cancelled: the calls are
 * cancelled and have ended, and those that had not started are marked
 * -ECANCELED. -ENOMEM counts as a failed call. Zero calls return at once. */
CALM_SUSPENDS int calm_gather(
    const calm_call *calls, size_t count, calm_result *ret_results);

/* Options of calm_map(); zero means default. */
typedef struct calm_map_opts {
    size_t limit;         /* at most so many at once; 0: all */
    calm_result *results; /* a slot for each item, or NULL: fail fast */
} calm_map_opts;

/* Runs fn(item) for each of COUNT items of SIZE bytes from ITEMS on, each in
 * a task, no more than opts->limit at once. OPTS may be NULL. Items that wait
 * for their turn take no memory. Returns as calm_gather(). */
CALM_SUSPENDS int calm_map(calm_fn *fn, void *items, size_t count, size_t size,
    const calm_map_opts *opts);

/* When calm_wait() returns. */
enum calm_wait_for {
    CALM_ALL,
    CALM_FIRST_COMPLETED,
    CALM_FIRST_FAILED, /* or all, when none fails */
};

/* Waits until as many of the COUNT tasks have ended as FOR says. Takes no
 * result and cancels nothing, also when the caller is cancelled. Returns how
 * many have ended, or -ECANCELED, -ENOMEM. NULL tasks count as ended. */
CALM_SUSPENDS int calm_wait(
    calm_task *const *tasks, size_t count, enum calm_wait_for what);

/* Iterates over tasks in the order in which they end:
 *
 *     calm_as_completed iterator;
 *     calm_task *task;
 *     rc = calm_as_completed_begin(&iterator, tasks, count);
 *     while (rc >= 0 && (rc = calm_as_completed_next(&iterator, &task)) > 0)
 *         use(calm_task_result(task));
 *     calm_as_completed_end(&iterator);
 */
typedef struct calm_as_completed {
    uint64_t opaque[8];
} calm_as_completed;

/* Watches COUNT tasks. Those that have ended come first, in their order in
 * the array. Returns 0 or -ENOMEM; calm_as_completed_end() is due either way.
 * The tasks' names must stay good until then. */
int calm_as_completed_begin(
    calm_as_completed *iterator, calm_task *const *tasks, size_t count);

/* Waits for the next to end. Returns 1 and the task, 0 after the last, or
 * -ECANCELED; what has ended is not lost then. */
CALM_SUSPENDS int calm_as_completed_next(
    calm_as_completed *iterator, calm_task **ret_task);

void calm_as_completed_end(calm_as_completed *iterator);

#ifdef __cplusplus
}
#endif
#endif
