/* compare.c - measures the four approaches, each in a process of its own
 *
 * The processes take turns, a repetition each: were they measured one after
 * the other, a load that comes and goes would meet one and spare the next.
 *
 * A signal that ends the program meanwhile must leave neither processes nor
 * files behind. So while it measures, SIGINT, SIGTERM and SIGHUP are blocked
 * and waited for together with the child's end; then everything is put away as
 * usual, and the signal is raised again. A child dies with its parent.
 */
#include "monitor/compare.h"

#include "base/error.h"
#include "host/lifetime.h"

#include <calm/pool.h>
#include <calm/time.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    TASKS_MOST = 1000000,
    TASKS_DEFAULT = 10,
    FILES_DEFAULT = 1000,
};

static const char *const work_names[CALM_WORKS] = {
    "io", "files", "http", "cpu", "mixed"};
static const char *const approach_names[CALM_APPROACHES] = {
    "sync", "async", "threads", "processes"};

const char *calm_work_name(enum calm_work work)
{
    return (unsigned)work < CALM_WORKS ? work_names[work] : "unknown";
}

const char *calm_approach_name(enum calm_approach approach)
{
    return (unsigned)approach < CALM_APPROACHES ? approach_names[approach]
                                                : "unknown";
}

/* ---- options ---- */

static int opts_check(const calm_compare_opts *opts)
{
    if ((unsigned)opts->work >= CALM_WORKS)
        return calm_fail(-EINVAL, "no such work to compare");
    if (opts->tasks > TASKS_MOST)
        return calm_fail(
            -EINVAL, "%zu tasks are more than %d", opts->tasks, TASKS_MOST);
    if (opts->repeat < 0 || opts->repeat > CALM_REPEAT_MOST ||
        opts->warmup > CALM_REPEAT_MOST)
        return calm_fail(-EINVAL, "more than %d repetitions", CALM_REPEAT_MOST);
    return 0;
}

static void opts_fill(calm_compare_opts *opts)
{
    if (opts->duration == 0)
        opts->duration =
            opts->work == CALM_WORK_IO ? 100 * CALM_MS : 20 * CALM_MS;
    if (opts->duration < 0)
        opts->duration = 0;
    if (opts->amount == 0)
        opts->amount = opts->work == CALM_WORK_MIXED ? 5000000 : 50000000;
    if (opts->repeat == 0)
        opts->repeat = 5;
    opts->warmup = opts->warmup == 0 ? 1 : opts->warmup < 0 ? 0 : opts->warmup;
    if (opts->most <= 0)
        opts->most = 1500 * CALM_MS;
}

/* How many tasks there are, and which of them are timed. */
static void tasks_settle(struct calm__job *job)
{
    size_t files = job->folder.count;
    if (job->opts.tasks == 0 && job->opts.work == CALM_WORK_FILES)
        job->opts.tasks = files < FILES_DEFAULT ? files : FILES_DEFAULT;
    else if (job->opts.tasks == 0)
        job->opts.tasks = TASKS_DEFAULT;
    size_t most = (size_t)(CALM__SAMPLES / job->opts.repeat);
    while ((job->opts.tasks - 1) / (job->mask + 1) >= most)
        job->mask = 2 * job->mask + 1;
    job->samples = most;
}

/* ---- a child ---- */

/* What is ignored, such as SIGHUP under nohup, stays so. */
static void signals_of_ours(sigset_t *set)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction action;
        sigaction(ends[i], NULL, &action);
        if (action.sa_handler != SIG_IGN)
            sigaddset(set, ends[i]);
    }
}

/* A handler of the program has nothing to do in a child. */
static void handlers_reset(void)
{
    for (int number = 1; number < _NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 &&
            action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
            signal(number, SIG_DFL);
    }
}

struct contender {
    pid_t id;  /* 0: it has ended */
    int turns; /* a byte makes it begin a repetition */
    struct calm__board *board;
};

struct contest {
    const struct calm__job *job;
    struct contender contenders[CALM_APPROACHES];
    sigset_t ours, before;
    calm_comparison *comparison;
};

static _Noreturn void child_main(struct contest *contest,
    enum calm_approach approach, struct calm__board *board, int turn)
{
    pid_t caller = board->caller;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != caller)
        _exit(EXIT_FAILURE);
    for (int i = 0; i < CALM_APPROACHES; i++)
        if (contest->contenders[i].turns >= 0)
            close(contest->contenders[i].turns);
    board->turn = turn;
    handlers_reset();
    sigprocmask(SIG_SETMASK, &contest->before, NULL);
    calm__measure(contest->job, approach, board);
    _exit(EXIT_SUCCESS);
}

static int contender_start(struct contest *contest, enum calm_approach approach)
{
    struct contender *contender = &contest->contenders[approach];
    struct calm__board *board = mmap(NULL, sizeof *board,
        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return calm_fail(-ENOMEM, "no memory for the figures");
    contender->board = board;
    board->caller = getpid();
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return calm_fail(-errno, "cannot make a pipe: %m");
    contender->turns = ends[1];
    pid_t id = fork();
    if (id == 0)
        child_main(contest, approach, board, ends[0]);
    int rc = id < 0 ? calm_fail(-errno, "cannot start a process: %m") : 0;
    close(ends[0]);
    contender->id = id < 0 ? 0 : id;
    return rc;
}

static void figures_of_dead(calm_compare_figures *figures, int status)
{
    figures->code = -EPROTO;
    if (WIFSIGNALED(status))
        snprintf(figures->message, sizeof figures->message,
            "the process that measured was ended by SIG%s",
            sigabbrev_np(WTERMSIG(status)) ?: "?");
    else
        snprintf(figures->message, sizeof figures->message,
            "the process that measured ended early");
}

/* Whether it has ended; then its figures are the result. */
static bool contender_reap(
    struct contest *contest, enum calm_approach approach, int options)
{
    struct contender *contender = &contest->contenders[approach];
    int status = 0;
    if (contender->id == 0)
        return true;
    pid_t ended = waitpid(contender->id, &status, options);
    if (ended == 0 || (ended < 0 && errno == EINTR))
        return false;
    contender->id = 0;
    calm_compare_figures *figures = &contest->comparison->approaches[approach];
    *figures = contender->board->figures;
    if (status != 0)
        figures_of_dead(figures, status);
    return true;
}

/* Waits until ROUNDS are done, or it has ended. Returns 0 or the number of a
 * signal that interrupts. */
static int contender_wait(
    struct contest *contest, enum calm_approach approach, int rounds)
{
    struct contender *contender = &contest->contenders[approach];
    while (!contender_reap(contest, approach, WNOHANG) &&
           atomic_load(&contender->board->rounds) < rounds) {
        int number = sigwaitinfo(&contest->ours, NULL);
        if (number > 0 && number != SIGCHLD)
            return number;
    }
    return 0;
}

static int take_turns(struct contest *contest, const calm_compare_opts *opts)
{
    int rounds = contest->job->opts.warmup + contest->job->opts.repeat;
    int interrupted = 0;
    for (int round = 1; round <= rounds; round++)
        for (int i = 0; i < CALM_APPROACHES && !interrupted; i++) {
            if (contest->contenders[i].id == 0)
                continue;
            if (opts->progress)
                opts->progress(opts->progress_ctx, opts->work, i);
            if (write(contest->contenders[i].turns, "", 1) == 1)
                interrupted = contender_wait(contest, i, round);
        }
    for (int i = 0; i < CALM_APPROACHES && !interrupted; i++)
        interrupted = contender_wait(contest, i, rounds + 1);
    return interrupted;
}

static void contest_end(struct contest *contest)
{
    for (int i = 0; i < CALM_APPROACHES; i++) {
        struct contender *contender = &contest->contenders[i];
        if (contender->id > 0)
            kill(contender->id, SIGKILL);
        while (!contender_reap(contest, i, 0))
            continue;
        if (contender->turns >= 0)
            close(contender->turns);
        if (contender->board)
            munmap(contender->board, sizeof *contender->board);
    }
    sigprocmask(SIG_SETMASK, &contest->before, NULL);
}

/* Returns 0, an error, or the number of a signal that interrupted. A child
 * that has died does not read its pipe: that is no reason to die as well. */
static int measure_all(const struct calm__job *job,
    const calm_compare_opts *opts, calm_comparison *comparison)
{
    struct contest contest = {.job = job, .comparison = comparison};
    for (int i = 0; i < CALM_APPROACHES; i++)
        contest.contenders[i].turns = -1;
    signals_of_ours(&contest.ours);
    sigset_t blocked = contest.ours;
    sigaddset(&blocked, SIGPIPE);
    sigprocmask(SIG_BLOCK, &blocked, &contest.before);
    int rc = 0;
    for (int i = 0; rc == 0 && i < CALM_APPROACHES; i++)
        rc = contender_start(&contest, i);
    if (rc == 0)
        rc = take_turns(&contest, opts);
    const struct timespec none = {0};
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    if (!sigismember(&contest.before, SIGPIPE))
        sigtimedwait(&broken, NULL, &none);
    struct calm__error *error = calm__error_take();
    contest_end(&contest);
    calm__error_set(error);
    return rc;
}

/* ---- all of them ---- */

static int url_choose(struct calm__job *job)
{
    const char *url = job->opts.url;
    if (!url)
        return calm__server_start(&job->server, job->url);
    if (strlen(url) >= sizeof job->url)
        return calm_fail(-EINVAL, "the URL is longer than %d", CALM__URL);
    memcpy(job->url, url, strlen(url) + 1);
    return 0;
}

/* A URL for people: without user, password and query. */
static void url_show(char *text, size_t size, const char *url)
{
    const char *rest = strstr(url, "://");
    rest = rest ? rest + 3 : url;
    const char *at = memchr(rest, '@', strcspn(rest, "/?#"));
    const char *from = at ? at + 1 : rest;
    snprintf(text, size, "%.*s%.*s", (int)(rest - url), url,
        (int)strcspn(from, "?#"), from);
}

static int job_open(struct calm__job *job, const calm_compare_opts *opts)
{
    *job = (struct calm__job){.opts = *opts, .folder = {.leash = -1}};
    opts_fill(&job->opts);
    int rc = 0;
    if (opts->work == CALM_WORK_FILES)
        rc = calm__folder_open(&job->folder, opts->folder);
    if (rc == 0 && calm__job_requests(job))
        rc = url_choose(job);
    if (rc == 0)
        tasks_settle(job);
    return rc;
}

static void job_close(struct calm__job *job)
{
    calm__folder_close(&job->folder);
    calm__server_stop(job->server);
}

static void describe(const struct calm__job *job, calm_comparison *comparison)
{
    const calm_compare_opts *opts = &job->opts;
    *comparison = (calm_comparison){
        .work = opts->work,
        .tasks = opts->tasks,
        .duration = opts->duration,
        .amount = opts->amount,
        .repeat = opts->repeat,
        .warmup = opts->warmup,
        .processors = calm_cpu_count(),
    };
    if (opts->work == CALM_WORK_FILES)
        snprintf(comparison->target, sizeof comparison->target, "%s",
            opts->folder ? opts->folder : "");
    if (calm__job_requests(job) && opts->url)
        url_show(comparison->target, sizeof comparison->target, opts->url);
}

int calm_compare(const calm_compare_opts *opts, calm_comparison *ret_comparison)
{
    struct calm__job job;
    int rc = opts_check(opts);
    if (rc == 0)
        rc = calm__lifetime_alone("a comparison");
    if (rc == 0)
        rc = job_open(&job, opts);
    if (rc < 0)
        return rc;
    describe(&job, ret_comparison);
    calm__heap_teach(); /* all four are given what a run is given */
    rc = measure_all(&job, opts, ret_comparison);
    struct calm__error *error = calm__error_take();
    job_close(&job);
    calm__error_set(error);
    if (rc > 0) {
        raise(rc);
        return calm_fail(-EINTR, "interrupted by a signal");
    }
    return rc;
}
