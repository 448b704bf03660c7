/* calm/run.h - running a program's main task
 *
 *     static int work(void *arg) { ...; return 0; }
 *
 *     int main(void)
 *     {
 *         return calm_run(work, NULL) < 0;
 *     }
 *
 * calm_run() makes a loop on the calling thread, runs work() as its main
 * task, and returns when that has ended. Several threads may each have a run;
 * tasks never move between them. A run inside of a run is refused.
 */
#ifndef CALM_RUN_H
#define CALM_RUN_H

#include <calm/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of a run; zero means default. */
typedef struct calm_run_opts {
    /* "io_uring", "epoll" or "auto"; NULL takes CALM_BACKEND from the
     * environment, else "auto": io_uring where the kernel allows it. */
    const char *backend;

    /* Bytes of a task's stack, 16 KiB to 64 MiB; default 256 KiB. Only the
     * pages that a task touches take memory. */
    size_t stack_size;

    /* Time jumps to the next timer whenever every task waits: a test that
     * sleeps an hour ends at once. CALM_CLOCK=virtual does the same. */
    bool virtual_clock;

    /* Leaves SIGINT (and SIGTERM) alone. By default, when the thread is the
     * process's main one, the first SIGINT cancels the main task, and after
     * its clean-up calm_run() raises the signal again with the handler that
     * was there before; a second one is raised at once. */
    bool no_signals;

    /* SIGTERM counts as SIGINT does. */
    bool sigterm;

    /* Is called with a sentence when a task's step held the loop for longer
     * than 100 ms, and with the report of a deadlock. Default: the sentence
     * goes to stderr when CALM_DEBUG=1 is set, else nowhere. */
    void (*report)(void *ctx, const char *text);
    void *report_ctx;
} calm_run_opts;

/* Runs MAIN with ARG and returns its result, with the sentence of an error in
 * the thread's slot. Further errors: -EBUSY in a thread that runs already,
 * -EINVAL for options that make no sense, -ENOMEM; -EDEADLK with a report as
 * the sentence when every task waited for another and nothing could happen
 * any more: the tasks were cancelled, and told -EDEADLK where that was not
 * enough. SIGPIPE is ignored while it lasts. */
int calm_run(calm_fn *main, void *arg);
int calm_run_with(calm_fn *main, void *arg, const calm_run_opts *opts);

/* The backend of the running loop, "io_uring" or "epoll"; NULL outside. */
const char *calm_backend_name(void);

#ifdef __cplusplus
}
#endif
#endif
