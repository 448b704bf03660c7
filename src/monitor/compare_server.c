/* compare_server.c - the service that a comparison requests, when no URL is
 * given
 *
 * A calm serve without models: each request tells it by a drill how long to
 * take, as a model or a database would, and it works on all of them at once.
 * It is a process of its own, so that its processor time is not counted as
 * that of those who ask, and dies with the one that made it.
 */
#include "monitor/compare.h"

#include <calm/run.h>
#include <calm/serve.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct told {
    int port;
    int code; /* 0, or why there is none */
    char message[256];
};

static void tell(int pipe, const struct told *told)
{
    if (write(pipe, told, sizeof *told) != sizeof *told)
        _exit(EXIT_FAILURE);
}

static int serve(void *arg)
{
    calm_serve *service;
    int rc = calm_serve_open(&(calm_serve_opts){.allow_drill = true}, &service);
    if (rc < 0)
        return rc;
    tell(*(int *)arg, &(struct told){.port = calm_serve_port(service)});
    rc = calm_serve_run(service);
    calm_serve_close(service);
    return rc;
}

static _Noreturn void server_main(int pipe, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    prctl(PR_SET_NAME, "calm-server");
    signal(SIGINT, SIG_IGN); /* it goes when its parent has cleaned up */
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    int rc = calm_run_with(serve, &pipe, &(calm_run_opts){.no_signals = true});
    struct told told = {.code = rc < 0 ? rc : -EPROTO};
    snprintf(told.message, sizeof told.message, "%s", calm_message(told.code));
    tell(pipe, &told);
    _exit(EXIT_FAILURE);
}

int calm__server_start(pid_t *ret_id, char url[CALM__URL])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return calm_fail(-errno, "cannot make a pipe: %m");
    pid_t parent = getpid();
    pid_t id = fork();
    if (id == 0)
        server_main(ends[1], parent);
    int rc = id < 0 ? calm_fail(-errno, "cannot start a process: %m") : 0;
    close(ends[1]);
    struct told told = {.code = -EPROTO, .message = "it ended at once"};
    ssize_t got = 0;
    if (rc == 0)
        do
            got = read(ends[0], &told, sizeof told);
        while (got < 0 && errno == EINTR);
    close(ends[0]);
    if (rc == 0 && told.code < 0) {
        calm__server_stop(id);
        rc = calm_fail(told.code, "cannot start a server: %s", told.message);
    }
    if (rc < 0)
        return rc;
    snprintf(url, CALM__URL, "http://127.0.0.1:%d/v2", told.port);
    *ret_id = id;
    return 0;
}

void calm__server_stop(pid_t id)
{
    if (id <= 0)
        return;
    kill(id, SIGKILL);
    while (waitpid(id, NULL, 0) < 0 && errno == EINTR)
        continue;
}
