/* process.c - looks after processes: their pipes, their end, their remains
 *
 * A pidfd becomes readable when its process ends, so waiting for one is like
 * waiting for any descriptor; there is no handler of SIGCHLD to fight over
 * with the program. Signals go through it too and cannot hit a stranger.
 *
 *     spawned -> running -> ended, a zombie -> reaped -> freed
 *                  kill() may |                    |
 *                             +--- close() does all of it
 */
#include "host/process.h"

#include "base/fault.h"
#include "core/sched.h"

#include <calm/pool.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHUNK = 64 << 10, /* a pipe's usual size */
    MOST_DEFAULT = 16 << 20,
};

/* ---- descriptors ---- */

static void close_fd(int *fd)
{
    if (*fd < 0)
        return;
    if (calm__loop_here) {
        struct calm__backend *backend = calm__loop_backend(calm__loop_here);
        backend->methods->forget(backend, *fd);
    }
    close(*fd);
    *fd = -1;
}

static int wait_fd(int fd, enum calm__op_kind kind, const char *what)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct calm__op op = {.kind = kind, .fd = fd};
    return calm__op_wait(&op, what);
}

/* ---- start ---- */

struct start {
    const char *const *argv;
    const calm_process_opts *opts;
    calm_process *process;
};

static int start_call(void *arg)
{
    struct start *start = arg;
    return calm__process_spawn(start->argv, start->opts, start->process);
}

int calm_process_start(const char *const *argv, const calm_process_opts *opts,
    calm_process **ret_process)
{
    static const calm_process_opts defaults;
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (!argv || !argv[0] || !argv[0][0])
        return calm_fail(-EINVAL, "a process needs a program to run");
    if (!opts)
        opts = &defaults;
    calm_process *process = calm__alloc(sizeof *process);
    if (!process)
        return calm_fail(-ENOMEM, "no memory to run '%s'", argv[0]);
    *process = (calm_process){
        .fd = -1,
        .pipes = {-1, -1, -1},
        .group = opts->new_group,
        .grace = opts->grace ? opts->grace : 2 * CALM_S,
    };
    struct start start = {argv, opts, process};
    rc = calm_blocking(start_call, &start);
    if (rc < 0)
        free(process);
    else
        *ret_process = process;
    return rc;
}

int calm_process_take_pipe(calm_process *process, int stream)
{
    if (stream < 0 || stream > 2 || process->pipes[stream] < 0)
        return calm_fail(-EBADF, "process %d has no pipe %d to take",
            (int)process->id, stream);
    int fd = process->pipes[stream];
    process->pipes[stream] = -1;
    return fd;
}

pid_t calm_process_id(const calm_process *process)
{
    return process->id;
}

/* ---- end ---- */

int calm_process_kill(calm_process *process, int signal)
{
    int rc;
    if (process->fd < 0)
        return -ESRCH;
    /* Its leader is not reaped yet, so the group's number is its own. */
    if (process->group)
        rc = kill(-process->id, signal);
    else
        rc = pidfd_send_signal(process->fd, signal, NULL, 0);
    if (rc == 0 || errno == ESRCH)
        return rc == 0 ? 0 : -ESRCH;
    return calm_fail(-errno, "cannot send signal %d to process %d: %m", signal,
        (int)process->id);
}

/* Takes the exit status of one that has ended; waits for it when not. */
static void reap(calm_process *process)
{
    siginfo_t info = {0};
    int rc;
    do {
        rc = waitid(P_PIDFD, (id_t)process->fd, &info, WEXITED);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0)
        process->code = -errno;
    else if (info.si_code == CLD_EXITED)
        process->exit = (calm_exit){.status = info.si_status};
    else
        process->exit = (calm_exit){.status = -1, .signal = info.si_status};
    close_fd(&process->fd);
}

static int wait_for_end(calm_process *process)
{
    return wait_fd(process->fd, CALM__OP_READABLE, "the end of a process");
}

/* A close may overtake the one that waits: who leaves last frees. */
static int wait_and_reap(calm_process *process)
{
    process->users++;
    int rc = process->fd >= 0 ? wait_for_end(process) : calm__enter();
    if (process->closed)
        rc = -EBADF;
    else if (rc == 0 && process->fd >= 0)
        reap(process);
    if (--process->users == 0 && process->closed)
        free(process);
    return rc;
}

int calm_process_wait(calm_process *process, calm_exit *ret_exit)
{
    pid_t id = process->id;
    int rc = wait_and_reap(process);
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0)
        return calm_fail(rc, "cannot wait for process %d: %s", (int)id,
            rc == -EBUSY   ? "another task does so already"
            : rc == -EBADF ? "another task has closed it"
                           : strerror(-rc));
    if (process->code < 0)
        return calm_fail(process->code,
            "the exit status of process %d was lost\nhint: the program must "
            "not ignore SIGCHLD, nor wait for all its children",
            (int)id);
    if (ret_exit)
        *ret_exit = process->exit;
    return 0;
}

/* SIGTERM and the grace time. Returns whether it has ended. */
static bool ended_politely(calm_process *process)
{
    if (process->grace < 0)
        return false;
    calm_timeout timeout;
    calm_process_kill(process, SIGTERM);
    /* One that is stopped would never see it. */
    calm_process_kill(process, SIGCONT);
    calm_timeout_begin(&timeout, process->grace);
    return calm_timeout_end(&timeout, wait_for_end(process)) == 0;
}

/* In a shield. One whose end cannot be waited for by the loop, for want of
 * memory, is killed, and then ends too soon for the wait to matter. */
static void end(calm_process *process)
{
    bool ended = ended_politely(process);
    if (!ended || process->group)
        calm_process_kill(process, SIGKILL);
    if (!ended)
        ended = wait_for_end(process) == 0;
    reap(process);
}

static bool has_ended(const calm_process *process)
{
    siginfo_t info = {0};
    return waitid(P_PIDFD, (id_t)process->fd, &info,
               WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid != 0;
}

void calm_process_close(calm_process *process)
{
    if (!process)
        return;
    struct calm__error *error = calm__error_take();
    for (int i = 0; i < 3; i++)
        close_fd(&process->pipes[i]);
    process->closed = true;
    process->users++;
    if (process->fd >= 0 && calm__self() && !has_ended(process)) {
        struct calm__backend *backend = calm__loop_backend(calm__loop_here);
        backend->methods->forget(backend, process->fd); /* who else waits */
        calm_shield shield;
        calm_shield_begin(&shield);
        end(process);
        calm_shield_end(&shield);
    } else if (process->fd >= 0) {
        calm_process_kill(process, SIGKILL);
        reap(process);
    }
    if (--process->users == 0)
        free(process);
    calm__error_set(error);
}

/* ---- run ---- */

struct transfer {
    int *fd;
    const char *data; /* to write */
    size_t len;
    calm_bytes *bytes; /* to read into */
    size_t most;
    const char *program;
};

/* A program need not read all of its input: that it went is no error. */
static int feed(void *arg)
{
    struct transfer *transfer = arg;
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < transfer->len;) {
        size_t part = transfer->len - done;
        ssize_t wrote = write(
            *transfer->fd, transfer->data + done, part < CHUNK ? part : CHUNK);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno == EAGAIN)
            rc = wait_fd(*transfer->fd, CALM__OP_WRITABLE, "a process to read");
        else if (errno != EINTR)
            rc = errno == EPIPE ? 1 : -errno;
        if (rc == 0)
            rc = calm__enter();
    }
    close_fd(transfer->fd);
    if (rc < 0 && rc != -ECANCELED)
        return calm_fail(
            rc, "cannot write to '%s': %s", transfer->program, strerror(-rc));
    return 0;
}

/* Returns how much came, 0 at the end. */
static int collect_some(struct transfer *transfer)
{
    calm_bytes *bytes = transfer->bytes;
    int rc = calm_bytes_reserve(bytes, CHUNK);
    while (rc == 0) {
        ssize_t got = read(*transfer->fd, bytes->data + bytes->len, CHUNK);
        if (got >= 0) {
            calm_bytes_advance(bytes, (size_t)got);
            return (int)got;
        }
        if (errno == EAGAIN)
            rc = wait_fd(
                *transfer->fd, CALM__OP_READABLE, "the output of a process");
        else if (errno != EINTR)
            rc = -errno;
    }
    return rc;
}

static int collect(void *arg)
{
    struct transfer *transfer = arg;
    int rc;
    while ((rc = collect_some(transfer)) > 0) {
        if (transfer->bytes->len > transfer->most)
            return calm_fail(CALM_ELIMIT,
                "'%s' printed more than %zu bytes and was ended",
                transfer->program, transfer->most);
        rc = calm__enter();
        if (rc < 0)
            return rc;
    }
    if (rc < 0 && rc != -ECANCELED)
        return calm_fail(
            rc, "cannot read from '%s': %s", transfer->program, strerror(-rc));
    return rc;
}

static int talk(calm_process *process, const char *program,
    const calm_process_opts *opts, calm_process_result *result)
{
    size_t most = opts->most ? opts->most : MOST_DEFAULT;
    struct transfer in = {.fd = &process->pipes[0],
        .program = program,
        .data = opts->input,
        .len = opts->input_len};
    struct transfer out = {.fd = &process->pipes[1],
        .program = program,
        .bytes = &result->out,
        .most = most};
    struct transfer err = {.fd = &process->pipes[2],
        .program = program,
        .bytes = &result->err,
        .most = most};
    calm_group group;
    calm_group_begin(&group);
    if (*in.fd >= 0)
        calm_spawn(&group, feed, &in);
    if (*out.fd >= 0)
        calm_spawn(&group, collect, &out);
    if (*err.fd >= 0)
        calm_spawn(&group, collect, &err);
    return calm_group_end(&group, calm_process_wait(process, &result->exit));
}

int calm_process_run(const char *const *argv, const calm_process_opts *opts,
    calm_process_result *ret_result)
{
    calm_process_opts chosen = opts ? *opts : (calm_process_opts){0};
    *ret_result = (calm_process_result){.exit = {.status = -1}};
    if (chosen.in == CALM_STREAM_DEFAULT)
        chosen.in = chosen.input_len ? CALM_STREAM_PIPE : CALM_STREAM_NULL;
    if (chosen.out == CALM_STREAM_DEFAULT)
        chosen.out = CALM_STREAM_PIPE;
    if (chosen.err == CALM_STREAM_DEFAULT)
        chosen.err = CALM_STREAM_PIPE;
    calm_process *process;
    int rc = calm_process_start(argv, &chosen, &process);
    if (rc < 0)
        return rc;
    rc = talk(process, argv[0], &chosen, ret_result);
    calm_process_close(process);
    return rc;
}

void calm_process_result_clear(calm_process_result *result)
{
    calm_bytes_clear(&result->out);
    calm_bytes_clear(&result->err);
}
