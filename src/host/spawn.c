/* spawn.c - starts a program, with its streams where they should lead
 *
 * posix_spawn and not fork: no copy of the page tables of a process that may
 * hold a dataset, and nothing of ours runs in the child, where locks of other
 * threads stay locked for ever. It blocks its thread until the program is
 * loaded, possibly from a slow disk, so a thread of the pool calls it.
 */
#include "host/process.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct spawn {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int theirs[3]; /* the child's ends of the pipes, -1: none */
};

static void close_all(int fds[3])
{
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

int calm__fd_above_streams(int *fd)
{
    if (*fd > STDERR_FILENO)
        return 0;
    int higher = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (higher < 0)
        return -errno;
    close(*fd);
    *fd = higher;
    return 0;
}

/* O_NONBLOCK on our end only: it belongs to the end, and few programs know
 * what to do with -EAGAIN. */
static int pipe_make(int stream, int *ret_ours, int *ret_theirs)
{
    int ends[2];
    if (calm__fault("pipe"))
        return -EMFILE;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int ours = stream == STDIN_FILENO ? 1 : 0;
    *ret_ours = ends[ours];
    *ret_theirs = ends[!ours];
    int rc = calm__fd_above_streams(ret_ours);
    if (rc == 0)
        rc = calm__fd_above_streams(ret_theirs);
    if (rc == 0 && fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
        rc = -errno;
    return rc;
}

static int stream_set(struct spawn *spawn, int stream,
    enum calm_process_stream how, struct calm_process *process)
{
    if (how == CALM_STREAM_PIPE) {
        int rc =
            pipe_make(stream, &process->pipes[stream], &spawn->theirs[stream]);
        return rc < 0 ? rc
                      : -posix_spawn_file_actions_adddup2(
                            &spawn->actions, spawn->theirs[stream], stream);
    }
    if (how == CALM_STREAM_NULL)
        return -posix_spawn_file_actions_addopen(&spawn->actions, stream,
            "/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
    if (how == CALM_STREAM_OUT && stream == STDERR_FILENO)
        return -posix_spawn_file_actions_adddup2(
            &spawn->actions, STDOUT_FILENO, STDERR_FILENO);
    return how == CALM_STREAM_OUT ? -EINVAL : 0;
}

/* The mask is the pool's, which blocks all; calm ignores SIGPIPE, and what is
 * ignored stays so in a new program. */
static int attributes_set(struct spawn *spawn, const calm_process_opts *opts)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (opts->new_group)
        flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setsigmask(&spawn->attributes, &none);
    posix_spawnattr_setsigdefault(&spawn->attributes, &defaults);
    posix_spawnattr_setpgroup(&spawn->attributes, 0);
    return -posix_spawnattr_setflags(&spawn->attributes, flags);
}

static int prepare(struct spawn *spawn, const calm_process_opts *opts,
    struct calm_process *process)
{
    const enum calm_process_stream streams[] = {opts->in, opts->out, opts->err};
    int rc = attributes_set(spawn, opts);
    for (int i = 0; rc == 0 && i < 3; i++)
        rc = stream_set(spawn, i, streams[i], process);
    if (rc == 0)
        rc = -posix_spawn_file_actions_addclosefrom_np(
            &spawn->actions, STDERR_FILENO + 1);
    if (rc == 0 && opts->folder)
        rc = -posix_spawn_file_actions_addchdir_np(
            &spawn->actions, opts->folder);
    return rc;
}

/* Until it is reaped its number is nobody else's, so this cannot miss. */
static int pidfd_of(pid_t id)
{
    int fd = calm__fault("pidfd") ? (errno = EMFILE, -1) : pidfd_open(id, 0);
    if (fd >= 0)
        return fd;
    int rc = -errno;
    kill(id, SIGKILL);
    while (waitpid(id, NULL, 0) < 0 && errno == EINTR)
        continue;
    return rc;
}

static int spawn_fail(
    int rc, const char *const *argv, const calm_process_opts *opts)
{
    const char *hint = "";
    if (rc == -ENOENT && opts->folder && access(opts->folder, X_OK) < 0)
        return calm_fail(
            -errno, "cannot run '%s' in '%s': %m", argv[0], opts->folder);
    if (rc == -ENOENT && !strchr(argv[0], '/'))
        hint = "\nhint: it is in no folder of PATH";
    else if (rc == -ENOENT && access(argv[0], F_OK) == 0 && !opts->folder)
        hint = "\nhint: the interpreter in its first line is missing";
    else if (rc == -EMFILE || rc == -ENFILE)
        hint = "\nhint: raise 'ulimit -n'";
    else if (rc == -EAGAIN)
        hint = "\nhint: raise the limit of processes, 'ulimit -u'";
    return calm_fail(rc, "cannot run '%s': %s%s", argv[0], strerror(-rc), hint);
}

int calm__process_spawn(const char *const *argv, const calm_process_opts *opts,
    struct calm_process *process)
{
    struct spawn spawn = {.theirs = {-1, -1, -1}};
    /* Neither allocates in glibc, so neither fails. */
    posix_spawn_file_actions_init(&spawn.actions);
    posix_spawnattr_init(&spawn.attributes);
    char *const *environment =
        (char *const *)(opts->environment ? opts->environment
                                          : (const char *const *)environ);
    int rc = prepare(&spawn, opts, process);
    if (rc == 0)
        rc = -posix_spawnp(&process->id, argv[0], &spawn.actions,
            &spawn.attributes, (char *const *)argv, environment);
    if (rc == 0)
        rc = process->fd = pidfd_of(process->id);
    close_all(spawn.theirs);
    posix_spawn_file_actions_destroy(&spawn.actions);
    posix_spawnattr_destroy(&spawn.attributes);
    if (rc >= 0)
        return 0;
    close_all(process->pipes);
    return spawn_fail(rc, argv, opts);
}
