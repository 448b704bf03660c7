/* compare_server.c - the server that a comparison requests, when no URL is
 * given
 *
 * It answers each request after a while, as a model or a database would take
 * it, and works on all of them at once. It is a process of its own, so that
 * its processor time is not counted as that of those who ask, and dies with
 * the one that made it.
 */
#include "monitor/compare.h"

#include <calm/run.h>
#include <calm/server.h>
#include <calm/time.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct serving {
    int64_t delay;
    int tell; /* a pipe for what follows */
};

struct told {
    int port;
    int code; /* 0, or why there is none */
    char message[256];
};

static int answer(calm_request *request, void *ctx)
{
    static const char text[] = "{\"predictions\":[0.5]}\n";
    int rc = calm_sleep(((struct serving *)ctx)->delay);
    if (rc < 0)
        return rc;
    return calm_respond(
        request, 200, "application/json", text, sizeof text - 1);
}

static void tell(const struct serving *serving, const struct told *told)
{
    if (write(serving->tell, told, sizeof *told) != sizeof *told)
        _exit(EXIT_FAILURE);
}

static int serve(void *arg)
{
    struct serving *serving = arg;
    struct told told = {0};
    calm_server *server;
    int rc = calm_server_open(
        &(calm_server_opts){.handler = answer, .ctx = serving}, &server);
    if (rc < 0)
        return rc;
    told.port = calm_server_port(server);
    tell(serving, &told);
    rc = calm_server_run(server);
    calm_server_close(server);
    return rc;
}

static _Noreturn void server_main(struct serving *serving, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    prctl(PR_SET_NAME, "calm-server");
    signal(SIGINT, SIG_IGN); /* it goes when its parent has cleaned up */
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    int rc =
        calm_run_with(serve, serving, &(calm_run_opts){.no_signals = true});
    struct told told = {.code = rc < 0 ? rc : -EPROTO};
    snprintf(told.message, sizeof told.message, "%s", calm_message(told.code));
    tell(serving, &told);
    _exit(EXIT_FAILURE);
}

int calm__server_start(int64_t delay, pid_t *ret_id, char url[CALM__URL])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return calm_fail(-errno, "cannot make a pipe: %m");
    struct serving serving = {delay, ends[1]};
    pid_t parent = getpid();
    pid_t id = fork();
    if (id == 0)
        server_main(&serving, parent);
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
    snprintf(url, CALM__URL, "http://127.0.0.1:%d/", told.port);
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
