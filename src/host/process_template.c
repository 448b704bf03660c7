/* process_template.c - the process that workers are copies of
 *
 * A fork copies one thread and all locks, also those that other threads hold.
 * The template was forked when there were no others, has no threads itself and
 * does nothing but fork: so a worker may be started and replaced at any time,
 * whatever the program's threads are doing. It is the workers' parent and
 * reaps them. It keeps nothing of the program open, or a pipe that the program
 * closes would stay open here.
 *
 * It ends, and first all workers, when the program says so, closes its end of
 * the socket, or has died. If it is killed itself, the kernel kills the
 * workers.
 */
#include "host/process_pool.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 256 };

struct state {
    struct calm__template *given;
    int ends; /* a signalfd: a worker has ended */
    pid_t own_id;
    pid_t ids[MOST]; /* of the workers, 0: none */
};

/* ---- what is inherited, and shall not be ---- */

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Closes all but the standard streams and the COUNT in KEPT, which it sorts. */
static void close_others(int *kept, int count)
{
    unsigned from = STDERR_FILENO + 1;
    qsort(kept, (size_t)count, sizeof *kept, compare_fds);
    for (int i = 0; i < count; i++) {
        if (kept[i] < (int)from)
            continue;
        if (kept[i] > (int)from)
            close_range(from, (unsigned)kept[i] - 1, 0);
        from = (unsigned)kept[i] + 1;
    }
    close_range(from, ~0U, 0);
}

static void streams_set(void)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (null > STDIN_FILENO)
        close(null);
    /* The program still has this and will write it. */
    __fpurge(stdout);
    __fpurge(stderr);
}

/* No handler of the program runs here. What it ignores stays ignored. */
static void signals_reset(void)
{
    for (int number = 1; number < _NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 &&
            action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
            signal(number, SIG_DFL);
    }
    signal(SIGCHLD, SIG_DFL);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- workers ---- */

static void tell(struct state *state, int index, char news)
{
    while (write(state->given->pipes[index], &news, 1) < 0 && errno == EINTR)
        continue;
}

static struct calm__place *place_of(struct state *state, int index)
{
    return calm__place_at(state->given->places, state->given->distance, index);
}

/* In the worker. The parent may have died before the kernel was told to watch
 * it. */
static _Noreturn void become_worker(struct state *state, int index)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != state->own_id)
        _exit(EXIT_FAILURE);
    prctl(PR_SET_NAME, "calm-worker");
    struct calm__place *place = place_of(state, index);
    atomic_store(&place->id, getpid());
    bool looks_out = state->given->looks_out;
    int pipe = state->given->pipes[index];
    close_others(&pipe, 1);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    calm__worker_main(place, pipe, looks_out);
}

static void start(struct state *state, int index)
{
    struct calm__place *place = place_of(state, index);
    atomic_store(&place->sleeping, 0);
    pid_t id = calm__fault("worker") ? (errno = EAGAIN, -1) : fork();
    if (id == 0)
        become_worker(state, index);
    if (id < 0) {
        atomic_store(&place->status, errno);
        tell(state, index, CALM__NEWS_REFUSED);
        return;
    }
    state->ids[index] = id;
}

static void ended(struct state *state, int index, int status)
{
    struct calm__place *place = place_of(state, index);
    state->ids[index] = 0;
    atomic_store(&place->id, 0);
    atomic_store(&place->status, status);
    tell(state, index, CALM__NEWS_ENDED);
}

static void reap_all(struct state *state)
{
    int status;
    pid_t id;
    while ((id = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < state->given->count; i++)
            if (state->ids[i] == id)
                ended(state, i, status);
}

static _Noreturn void quit(struct state *state)
{
    for (int i = 0; i < state->given->count; i++)
        if (state->ids[i] > 0)
            kill(state->ids[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    _exit(EXIT_SUCCESS);
}

static void obey(struct state *state, const struct calm__order *order)
{
    int index = order->place;
    if (order->kind == CALM__ORDER_QUIT)
        quit(state);
    if (index >= state->given->count)
        return;
    if (order->kind == CALM__ORDER_KILL && state->ids[index] > 0)
        kill(state->ids[index], SIGKILL);
    else if (order->kind == CALM__ORDER_START && state->ids[index] == 0)
        start(state, index);
}

static void take_order(struct state *state)
{
    struct calm__order order;
    ssize_t got =
        recv(state->given->orders, &order, sizeof order, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        quit(state);
    if (got == sizeof order)
        obey(state, &order);
}

/* ---- its life ---- */

static void prepare(struct state *state)
{
    struct calm__template *given = state->given;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signals_reset();
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "calm-template");
    int kept[MOST + 2];
    int count = 0;
    kept[count++] = given->orders;
    kept[count++] = given->program;
    for (int i = 0; i < given->count; i++)
        kept[count++] = given->pipes[i];
    close_others(kept, count);
    streams_set();
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    state->ends = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (state->ends < 0)
        _exit(EXIT_FAILURE);
}

void calm__template_main(struct calm__template *template)
{
    static struct state state;
    state = (struct state){.given = template, .own_id = getpid()};
    prepare(&state);
    for (;;) {
        struct pollfd fds[] = {
            {.fd = template->orders, .events = POLLIN},
            {.fd = state.ends, .events = POLLIN},
            {.fd = template->program, .events = POLLIN}, /* -1 is passed by */
        };
        poll(fds, 3, -1);
        struct signalfd_siginfo info;
        if (fds[1].revents && read(state.ends, &info, sizeof info) > 0)
            reap_all(&state);
        if (fds[2].revents)
            quit(&state);
        if (fds[0].revents)
            take_order(&state);
    }
}
