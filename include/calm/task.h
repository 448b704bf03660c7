/* calm/task.h - tasks, and the groups that they live in
 *
 * A task is a C function with a stack of its own, int fn(void *arg). Any
 * function may wait: while it does, other tasks of the thread run. Between
 * two suspending calls (CALM_SUSPENDS marks them) nothing else runs on the
 * thread, so plain variables need no lock.
 *
 * Every task is in a group, and a group ends only after the last of its tasks
 * has ended, so no task outlives the variables of the function that began
 * the group:
 *
 *     calm_group group;
 *     calm_group_begin(&group);
 *     calm_spawn(&group, read_rows, &file);
 *     calm_spawn(&group, write_rows, &out);
 *     int rc = calm_group_end(&group, 0);
 *
 * A task fails by returning a negative code. The first failure cancels the
 * group: the other tasks and the function that began it. Cancelling is
 * level-triggered: once a task is cancelled, every suspending call in it
 * fails with -ECANCELED, not only the next, until it returns by its own way;
 * it is never killed. A task that catches the cancel may return anything.
 *
 * A task and its group belong to the thread that began them; none of these
 * calls may be made from another one (calm/pool.h has calm_post for that).
 */
#ifndef CALM_TASK_H
#define CALM_TASK_H

#include <calm/error.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a task runs. Its result travels to whoever awaits it. */
typedef int calm_fn(void *arg);

typedef struct calm_task calm_task;

/* A group of tasks. Calm's while it is begun, and must stay where it is. */
typedef struct calm_group {
    uint64_t opaque[16];
} calm_group;

/* Begins a group in the running task. Cannot fail and does not suspend. */
void calm_group_begin(calm_group *group);

/* Starts fn(arg) as a task of GROUP; any task may, also a child of the group
 * itself. It first runs when the caller suspends. ARG stays the caller's and
 * must live until the task has ended.
 *
 * Returns the task, for calm_await() and its like: a borrowed name, good
 * until the task was awaited or the group has ended. Returns NULL when there
 * is no memory, which counts as a failed child so that the group ends with
 * -ENOMEM, and when the group is cancelled: then nothing was started and ARG
 * is still the caller's to free. Callers who await nothing need not check. */
calm_task *calm_spawn(calm_group *group, calm_fn *fn, void *arg);

/* Cancels the group: every task in it, and the body that began it up to
 * calm_group_end(). Further spawns are refused. */
void calm_group_cancel(calm_group *group);

/* How many tasks of the group have not ended yet. */
size_t calm_group_size(const calm_group *group);

/* Ends the group: waits until all tasks have ended, also those spawned
 * meanwhile. RC is the result of the body; a negative one cancels the tasks.
 * A cancel of the caller cancels them too, and the call still waits.
 *
 * Returns the first failure of a task or the body, with its sentence (further
 * ones stay behind it in the slot, see calm_error_count), -ECANCELED when the
 * caller was cancelled, else RC. A task that returns -ECANCELED after it was
 * cancelled has not failed. */
CALM_SUSPENDS int calm_group_end(calm_group *group, int rc);

/* Waits until TASK has ended, takes its result into *RET_RESULT (may be NULL)
 * with the sentence of an error, and gives up the name TASK. Returns what
 * happened to the caller, never what happened to the task: 0; or -ECANCELED
 * when the caller is cancelled: then TASK is cancelled too, has ended, and
 * its result is still delivered. -EDEADLK for the running task itself.
 * A NULL task counts as one that was cancelled. */
CALM_SUSPENDS int calm_await(calm_task *task, int *ret_result)
    __attribute__((warn_unused_result));

/* Cancels one task. Its group goes on. A task that has not run yet still
 * runs, so that it can free its argument: its first suspending call fails.
 * Cancelling one that has ended, or NULL, does nothing. */
void calm_cancel(calm_task *task);

/* Gives up the name without awaiting: the record of the task is freed when it
 * ends and not with its group. For tasks that come and go in a long-lived
 * group; a failure still counts. */
void calm_release(calm_task *task);

/* Whether the task has ended, and then its result; -EINPROGRESS before. The
 * name stays good. */
bool calm_task_done(const calm_task *task);
int calm_task_result(const calm_task *task);

/* Lets every other task that can run do so once. Returns 0, or -ECANCELED
 * when the task is cancelled. Put it into long loops of computation. */
CALM_SUSPENDS int calm_checkpoint(void);

/* Whether the running task is cancelled here, within its scopes. */
bool calm_cancelled(void);

/* The running task, or NULL outside of calm_run(). */
calm_task *calm_self(void);

/* A task's name in reports: "task 17", or what calm_name() last gave the
 * running task; copied, and cut after 47 bytes. */
const char *calm_task_name(const calm_task *task);
int calm_name(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A value of the task's own, by the address of a key that the program
 * declares: static calm_local request_id. A child begins with the values of
 * the task that spawned it; a change is seen by later children only. */
typedef struct calm_local {
    char unused;
} calm_local;

/* Sets the running task's VALUE for KEY, not owned. Returns 0 or -ENOMEM. */
int calm_local_set(const calm_local *key, void *value);

/* The running task's value for KEY, NULL when it was never set. */
void *calm_local_get(const calm_local *key);

#ifdef __cplusplus
}
#endif
#endif
