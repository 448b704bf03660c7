/* run.c - puts a run together: options, backend, loop, signals, threads
 *
 * The order matters, and is undone in reverse: the process's share first
 * (threads, fork), then the loop, its backend, the signals, which know the
 * loop. A signal that interrupted the run is raised again when nothing is
 * left of it, because it usually ends the process.
 */
#include "core/sched.h"
#include "host/backends.h"
#include "host/lifetime.h"
#include "host/signals.h"
#include "host/ticker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    STACK_DEFAULT = 256 << 10,
    STACK_LEAST = 16 << 10,
    STACK_MOST = 64 << 20,
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* CALM_DEBUG=1 asks for it: the one place where the library prints. */
static void report_to_stderr(void *ctx, const char *text)
{
    fprintf(stderr, "calm: %s\n", text);
}

static int clock_choose(bool asked, bool *ret_virtual)
{
    const char *name = environment("CALM_CLOCK");
    if (name && strcmp(name, "virtual") != 0 && strcmp(name, "real") != 0)
        return calm_fail(-EINVAL,
            "unknown clock '%s' in CALM_CLOCK\nhint: use real or virtual",
            name);
    *ret_virtual = asked || (name && strcmp(name, "virtual") == 0);
    return 0;
}

static int configure(
    const calm_run_opts *opts, struct calm__loop_config *ret_config)
{
    struct calm__loop_config config = {
        .stack_size = opts->stack_size ? opts->stack_size : STACK_DEFAULT,
        .report = opts->report,
        .report_ctx = opts->report_ctx,
        .ticks = &calm__ticks,
    };
    if (config.stack_size < STACK_LEAST || config.stack_size > STACK_MOST)
        return calm_fail(-EINVAL,
            "a stack of %zu bytes\nhint: stack_size is 16 KiB to 64 MiB",
            config.stack_size);
    int rc = clock_choose(opts->virtual_clock, &config.virtual_clock);
    if (rc < 0)
        return rc;
    const char *debug = environment("CALM_DEBUG");
    if (!config.report && debug && strcmp(debug, "0") != 0)
        config.report = report_to_stderr;
    *ret_config = config;
    return 0;
}

static int uring_fail(int code)
{
    const char *hint = calm__uring_hint(code);
    errno = -code;
    return calm_fail(code, "io_uring is not available: %m%s%s",
        hint ? "\nhint: " : "", hint ? hint : "");
}

static int epoll_open(struct calm__loop *loop, struct calm__backend **ret)
{
    int code = calm__epoll_methods.open(loop, ret);
    if (code == 0)
        return 0;
    errno = -code;
    return calm_fail(code, "cannot make an epoll: %m%s",
        code == -EMFILE ? "\nhint: raise 'ulimit -n'" : "");
}

/* io_uring is forbidden in many containers and unknown to old kernels: unless
 * it was asked for by name, epoll takes its place without a word. */
static int backend_open(
    const char *name, struct calm__loop *loop, struct calm__backend **ret)
{
    if (!name)
        name = environment("CALM_BACKEND");
    if (name && strcmp(name, "epoll") == 0)
        return epoll_open(loop, ret);
    bool any = !name || strcmp(name, "auto") == 0;
    if (!any && strcmp(name, "io_uring") != 0)
        return calm_fail(-EINVAL,
            "unknown backend '%s'\nhint: use io_uring, epoll or auto", name);
    int code = calm__uring_methods.open(loop, ret);
    if (code == 0)
        return 0;
    return any ? epoll_open(loop, ret) : uring_fail(code);
}

/* With the backend open, and timers that the kernel does not round. */
static int run_on(struct calm__loop *loop, struct calm__backend *backend,
    calm_fn *main, void *arg, const calm_run_opts *opts, int *ret_signal)
{
    struct calm__signals signals;
    int slack = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, 1);
    calm__signals_begin(&signals, loop, !opts->no_signals, opts->sigterm);
    int rc = calm__loop_run(loop, backend, main, arg);
    *ret_signal = calm__signals_end(&signals);
    if (slack > 0)
        prctl(PR_SET_TIMERSLACK, slack);
    return rc;
}

static int run_loop(calm_fn *main, void *arg, const calm_run_opts *opts,
    const struct calm__loop_config *config, int *ret_signal)
{
    struct calm__loop *loop = calm__loop_open(config);
    if (!loop)
        return calm_fail(-ENOMEM, "no memory for the loop");
    struct calm__backend *backend;
    int rc = backend_open(opts->backend, loop, &backend);
    if (rc == 0) {
        rc = run_on(loop, backend, main, arg, opts, ret_signal);
        backend->methods->close(backend);
    }
    calm__loop_close(loop);
    return rc;
}

int calm_run_with(calm_fn *main, void *arg, const calm_run_opts *opts)
{
    static const calm_run_opts defaults;
    struct calm__loop_config config;
    if (calm__loop_here)
        return calm_fail(-EBUSY, "a run was begun inside of a run");
    if (!main)
        return calm_fail(-EINVAL, "a run needs a main task");
    int rc = configure(opts ? opts : &defaults, &config);
    if (rc == 0)
        rc = calm__lifetime_begin();
    if (rc < 0)
        return rc;
    int interrupted_by = 0;
    rc = run_loop(main, arg, opts ? opts : &defaults, &config, &interrupted_by);
    calm__lifetime_end();
    if (interrupted_by)
        raise(interrupted_by);
    return rc;
}

int calm_run(calm_fn *main, void *arg)
{
    return calm_run_with(main, arg, NULL);
}

const char *calm_backend_name(void)
{
    struct calm__loop *loop = calm__loop_here;
    return loop ? calm__loop_backend(loop)->methods->name : NULL;
}
