/* calm/process.h - running other programs
 *
 * The short form runs a command to its end and collects what it prints:
 *
 *     calm_process_result result;
 *     int rc = calm_process_run((const char *[]){"nvidia-smi", "-L", NULL},
 *         NULL, &result);
 *     if (rc == 0 && result.exit.status == 0)
 *         use(calm_bytes_text(&result.out));
 *     calm_process_result_clear(&result);
 *
 * The long form starts one, talks to it through pipes, and closes it. Either
 * way no process is left behind: one that still runs when its task is
 * cancelled or done with it is sent SIGTERM, after a grace time SIGKILL, and
 * is then waited for. A program that is started gets the standard streams and
 * no other descriptor, and no signals blocked or SIGPIPE ignored.
 *
 * A program must not ignore SIGCHLD, nor wait for all its children itself:
 * their exit status would be lost, which gives -ECHILD.
 */
#ifndef CALM_PROCESS_H
#define CALM_PROCESS_H

#include <calm/bytes.h>
#include <calm/task.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a standard stream of the process leads. */
enum calm_process_stream {
    CALM_STREAM_DEFAULT = 0, /* start: as INHERIT; run: collected, and input
                                that is empty unless it is given */
    CALM_STREAM_INHERIT,     /* it shares the caller's */
    CALM_STREAM_PIPE,        /* to the caller */
    CALM_STREAM_NULL,        /* /dev/null */
    CALM_STREAM_OUT,         /* standard error: where standard output goes */
};

/* Options; zero means default. */
typedef struct calm_process_opts {
    /* "NAME=value" each, a NULL last; NULL: the caller's environment. */
    const char *const *environment;

    /* Its working folder; NULL: the caller's. A relative ARGV[0] with a slash
     * is looked for from there. */
    const char *folder;

    enum calm_process_stream in, out, err;

    /* It and what it starts form a process group of their own, and signals go
     * to all of that. A terminal's Ctrl-C does not reach it then. */
    bool new_group;

    /* Between SIGTERM and SIGKILL; default 2 s, negative: SIGKILL at once. */
    int64_t grace;

    /* Of calm_process_run(): what it reads, the caller's until the return. */
    const void *input;
    size_t input_len;

    /* Of calm_process_run(): the most bytes of standard output, and of
     * standard error; default 16 MiB. */
    size_t most;
} calm_process_opts;

/* How a process ended. */
typedef struct calm_exit {
    int status; /* 0 to 255, where 0 means good; -1 after a signal */
    int signal; /* that ended it, such as SIGKILL; 0: it exited */
} calm_exit;

typedef struct calm_process_result {
    calm_exit exit;
    calm_bytes out, err;
} calm_process_result;

/* Runs ARGV, which ends with a NULL, to its end. ARGV[0] without a slash is
 * looked for in the caller's PATH. OPTS may be NULL. Output is collected until
 * the process has ended and nobody holds its streams any more.
 *
 * Returns 0 when it ran, also when it ended badly, which *RET_RESULT tells;
 * the errno of the start (-ENOENT, -EACCES, -E2BIG, -EMFILE, -EAGAIN) with a
 * sentence; CALM_ELIMIT for more output than opts->most; -ENOMEM; -ECANCELED.
 * When it fails the process has been ended. RET_RESULT is filled in any case,
 * with what was collected so far, and calm_process_result_clear() is due. */
CALM_SUSPENDS int calm_process_run(const char *const *argv,
    const calm_process_opts *opts, calm_process_result *ret_result)
    __attribute__((warn_unused_result));

void calm_process_result_clear(calm_process_result *result);

/* ---- the long form ---- */

typedef struct calm_process calm_process;

/* Starts ARGV as above. Returns 0 and the process, for calm_process_close(),
 * or the errno of the start with a sentence. A cancel that comes while it is
 * being started is seen by the next call. */
CALM_SUSPENDS int calm_process_start(const char *const *argv,
    const calm_process_opts *opts, calm_process **ret_process)
    __attribute__((warn_unused_result));

/* The caller's end of the pipe to standard input (0), or from standard output
 * (1) or error (2); never blocks, close-on-exec. It is the caller's from then
 * on: give it to calm_socket_from_fd() to read or write it and to close it.
 * Returns -EBADF when there is no such pipe, or it was taken already. Pipes
 * that nobody takes are closed with the process. Does not suspend. */
int calm_process_take_pipe(calm_process *process, int stream);

/* Waits until it has ended. Returns 0 and how, at once if it has ended
 * before; -ECANCELED, and it goes on running; -EBUSY when another task waits
 * for it, -EBADF when another closes it, -ECHILD when the exit status was
 * lost. Empty its pipes meanwhile, in other tasks: one that cannot write does
 * not end. RET_EXIT may be NULL. */
CALM_SUSPENDS int calm_process_wait(calm_process *process, calm_exit *ret_exit)
    __attribute__((warn_unused_result));

/* Sends a signal to it, or to its group. Returns 0, or -ESRCH when it has
 * ended, or -EINVAL for an unknown signal. Does not suspend. */
int calm_process_kill(calm_process *process, int signal);

/* Its number, for messages. It may be another's once it has ended. */
pid_t calm_process_id(const calm_process *process);

/* Ends it if it still runs, SIGTERM, grace time, SIGKILL, waits for the end,
 * and frees it; NULL is fine. A cancel neither stops nor shortens this; with
 * a virtual clock the grace time is over at once. Never fails. */
CALM_SUSPENDS void calm_process_close(calm_process *process);

#ifdef __cplusplus
}
#endif
#endif
