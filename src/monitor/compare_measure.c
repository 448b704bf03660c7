/* compare_measure.c - the repetitions of one approach, in their own process
 *
 * Whoever works takes the next number from the board until all are taken, the
 * time is up, or a task has failed. Only some tasks are timed when there are
 * many, so that the clock does not become part of the work; asynchronous tasks
 * that only wait have nothing else added to them at all.
 */
#include "monitor/compare.h"

#include "base/clock.h"
#include "host/thread.h"

#include <calm/gather.h>
#include <calm/pool.h>
#include <calm/process_pool.h>
#include <calm/run.h>
#include <calm/sync.h>
#include <calm/time.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    AT_ONCE = 256,     /* files that are open, and requests */
    WORKERS_MOST = 64, /* processes that wait */
    STACK = 256 << 10, /* of a thread; pages that it touches are memory */
    STACK_OF_LOOP = 1 << 20,
};

/* This process measures one approach and ends, so these may be its globals. */
static const struct calm__job *job;
static struct calm__board *board;
static calm_process_pool *pool;
static struct calm__usage usage_before, usage_sum;
static double machine_before, others_sum, lasted_sum;
static int64_t round_started;
static _Thread_local calm_http *http; /* of the loop, if it requests */
static char *numbers; /* never touched: a task's number is its distance */
static size_t met;    /* of a warm-up's tasks */
static calm_event all_met;

/* ---- a task ---- */

static int note_failure(int code)
{
    int none = 0;
    if (code < 0 && atomic_compare_exchange_strong(&board->failed, &none, code))
        snprintf(board->figures.message, sizeof board->figures.message, "%s",
            calm_message(code));
    return code;
}

static void note_time(size_t index, int64_t time)
{
    int round = atomic_load(&board->round);
    if (round >= 0)
        board->times[(size_t)round * job->samples + index / (job->mask + 1)] =
            time > 0 ? time : 1;
}

/* How a task is done where it is done. */
static int block(size_t index)
{
    return calm__job_block(job, index);
}

static int request_alone(size_t index)
{
    return calm__job_alone(job, http, index);
}

static int suspend(size_t index)
{
    return calm__job_suspend(job, http, index);
}

static int timed(int (*work)(size_t index), size_t index)
{
    int rc;
    if (index & job->mask) {
        rc = work(index);
    } else {
        int64_t start = calm__clock_now();
        rc = work(index);
        note_time(index, calm__clock_now() - start);
    }
    if (rc < 0)
        return note_failure(rc);
    atomic_fetch_add_explicit(&board->done, 1, memory_order_relaxed);
    return 0;
}

static bool time_is_up(void)
{
    return atomic_load(&board->failed) ||
           calm__clock_now() >= atomic_load(&board->deadline);
}

/* The first is always taken, however late it is. */
static bool take_next(size_t *ret_index)
{
    size_t index = atomic_fetch_add(&board->next, 1);
    if (index >= job->opts.tasks || (index > 0 && time_is_up()))
        return false;
    *ret_index = index;
    return true;
}

/* ---- a repetition ---- */

/* The workers' ids: none unless they are processes. */
static int workers(pid_t ids[WORKERS_MOST])
{
    int count = pool ? calm_process_pool_count(pool) : 0;
    for (int i = 0; i < count; i++)
        ids[i] = calm_process_pool_id(pool, i);
    return count;
}

/* The approaches take turns, so that what else the machine does meets all of
 * them alike. Meanwhile nothing of this process has anything to do. */
static void turn_wait(void)
{
    char byte;
    ssize_t got;
    do
        got = read(board->turn, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(EXIT_FAILURE); /* the caller has gone */
}

static void turn_over(void)
{
    atomic_fetch_add(&board->rounds, 1);
    kill(board->caller, SIGCHLD);
}

static void round_begin(int round)
{
    pid_t ids[WORKERS_MOST];
    turn_wait();
    calm__folder_chill(&job->folder, job->opts.tasks);
    atomic_store(&board->round, round);
    atomic_store(&board->next, 0);
    atomic_store(&board->done, 0);
    calm__usage_now(ids, workers(ids), &usage_before);
    machine_before = calm__usage_machine();
    round_started = calm__clock_now();
    atomic_store(&board->deadline, round_started + job->opts.most);
}

static void round_end(int round)
{
    int64_t lasted = calm__clock_now() - round_started;
    pid_t ids[WORKERS_MOST];
    struct calm__usage now;
    double machine = calm__usage_machine();
    calm__usage_now(ids, workers(ids), &now);
    size_t done = atomic_load(&board->done);
    calm_compare_figures *figures = &board->figures;
    if (round < 0 || done == 0 || atomic_load(&board->failed))
        return;
    others_sum += machine - machine_before - (now.cpu - usage_before.cpu);
    lasted_sum += (double)lasted * 1e-9;
    double whole = (double)job->opts.tasks / (double)done;
    figures->walls[figures->repetitions++] = (double)lasted * 1e-9 * whole;
    if (figures->done == 0 || done < figures->done)
        figures->done = done;
    usage_sum.cpu += (now.cpu - usage_before.cpu) * whole;
    usage_sum.switches += (now.switches - usage_before.switches) * whole;
}

static int rounds(int (*once)(void))
{
    int rc = 0;
    for (int i = -job->opts.warmup; rc >= 0 && i < job->opts.repeat; i++) {
        round_begin(i);
        rc = note_failure(once());
        round_end(i);
        pid_t ids[WORKERS_MOST];
        board->figures.memory = calm__usage_memory(ids, workers(ids));
        turn_over();
    }
    return rc;
}

/* ---- one after the other ---- */

static int lane(void)
{
    size_t index;
    int rc = 0;
    while (rc == 0 && take_next(&index))
        rc = timed(calm__job_requests(job) ? request_alone : block, index);
    return rc;
}

/* fn() in a loop of this thread, with a client for requests. */
static int client_main(void *fn)
{
    int rc = calm__job_requests(job) ? calm_http_open(NULL, &http) : 0;
    if (rc < 0)
        return rc;
    rc = (*(int (**)(void))fn)();
    calm_http_close(http);
    http = NULL;
    return rc;
}

static int with_client(int (*fn)(void))
{
    return calm_run_with(
        client_main, &fn, &(calm_run_opts){.no_signals = true});
}

static int rounds_in_turn(void)
{
    return rounds(lane);
}

static int measure_sync(void)
{
    board->figures.units = 1;
    return calm__job_requests(job) ? with_client(rounds_in_turn)
                                   : rounds_in_turn();
}

/* ---- tasks ---- */

/* In a warm-up all who will wait together are there together. Their first
 * pages take the kernel so long that without this a hundred thousand would not
 * be: the first would be done before the last began, and each repetition would
 * go on to touch some for the first time. */
static int meet(void)
{
    if (++met == job->opts.tasks)
        calm_event_set(&all_met);
    return calm_event_wait(&all_met);
}

static int async_task(void *item)
{
    size_t index = (size_t)((char *)item - numbers);
    bool waits = job->opts.work == CALM_WORK_IO;
    if (!waits && index > 0 && time_is_up())
        return 0;
    if (waits && atomic_load(&board->round) < 0) {
        int rc = meet();
        if (rc < 0)
            return rc;
    }
    return timed(suspend, index);
}

static int async_once(void)
{
    calm_map_opts opts = {
        .limit = job->opts.work == CALM_WORK_IO ? 0 : AT_ONCE};
    met = 0;
    calm_event_clear(&all_met);
    return calm_map(async_task, numbers, job->opts.tasks, 1, &opts);
}

static int rounds_of_tasks(void)
{
    size_t tasks = job->opts.tasks;
    bool limited = job->opts.work != CALM_WORK_IO && tasks > AT_ONCE;
    board->figures.units = limited ? AT_ONCE : tasks;
    return rounds(async_once);
}

static int measure_async(void)
{
    numbers = malloc(job->opts.tasks);
    if (!numbers)
        return calm_fail(-ENOMEM, "no memory for the numbers of the tasks");
    int rc = with_client(rounds_of_tasks);
    free(numbers);
    return rc;
}

/* ---- threads ---- */

static size_t fewer(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void *thread_main(void *arg)
{
    note_failure(calm__job_requests(job) ? with_client(lane) : lane());
    calm_error_clear();
    return NULL;
}

static size_t threads_wanted(void)
{
    if (job->opts.work == CALM_WORK_CPU)
        return fewer(job->opts.tasks, (size_t)calm_cpu_count());
    if (calm__job_requests(job))
        return fewer(job->opts.tasks, AT_ONCE);
    return fewer(job->opts.tasks, calm__usage_threads_most());
}

/* Where the system gives no more, those that there are do all. */
static int threads_once(void)
{
    size_t wanted = threads_wanted(), count = 0;
    pthread_t *threads = calloc(wanted, sizeof *threads);
    if (!threads)
        return calm_fail(-ENOMEM, "no memory for %zu threads", wanted);
    int rc = 0;
    while (count < wanted && rc == 0) {
        rc = calm__thread_start(&threads[count], "calm-compare",
            calm__job_requests(job) ? STACK_OF_LOOP : STACK, thread_main, NULL);
        count += rc == 0;
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    if (count > board->figures.units)
        board->figures.units = count;
    errno = -rc;
    return count > 0 ? 0 : calm_fail(rc, "cannot start a thread: %m");
}

static int measure_threads(void)
{
    return rounds(threads_once);
}

/* ---- processes ---- */

static int worker_task(void *item)
{
    return timed(block, *(size_t *)item);
}

/* A client would be lost between two items, so all that a worker requests in
 * a repetition is one item. */
static int worker_lane(void *item)
{
    return note_failure(with_client(lane));
}

/* A task for each worker hands it one number after the other. */
static int process_lane(void *unused)
{
    size_t index = 0;
    int rc = 0;
    if (calm__job_requests(job))
        rc = calm_process_call(pool, worker_lane, &index, sizeof index);
    else
        while (rc == 0 && take_next(&index))
            rc = calm_process_call(pool, worker_task, &index, sizeof index);
    return note_failure(rc);
}

static int processes_once(void)
{
    return calm_map(process_lane, NULL, board->figures.units, 0, NULL);
}

static int processes_main(void *arg)
{
    return rounds(processes_once);
}

static int measure_processes(void)
{
    size_t most = job->opts.work == CALM_WORK_CPU ? (size_t)calm_cpu_count()
                                                  : WORKERS_MOST;
    size_t count = fewer(fewer(job->opts.tasks, most), WORKERS_MOST);
    board->figures.units = count;
    int rc = calm_process_pool_open(
        &(calm_process_pool_opts){.processes = (int)count, .largest = 64},
        &pool);
    if (rc == 0)
        rc = calm_run_with(
            processes_main, NULL, &(calm_run_opts){.no_signals = true});
    calm_process_pool_close(pool);
    return rc;
}

/* ---- */

/* The times lie scattered: a repetition that was cut off leaves gaps. */
static void settle_times(void)
{
    static int64_t times[CALM__SAMPLES];
    size_t count = 0;
    for (size_t i = 0; i < CALM__SAMPLES; i++)
        if (board->times[i] > 0)
            times[count++] = board->times[i];
    calm__figures_times(&board->figures, times, count);
}

void calm__measure(const struct calm__job *the_job, enum calm_approach approach,
    struct calm__board *the_board)
{
    static int (*const measures[CALM_APPROACHES])(void) = {
        [CALM_SYNC] = measure_sync,
        [CALM_ASYNC] = measure_async,
        [CALM_THREADS] = measure_threads,
        [CALM_PROCESSES] = measure_processes,
    };
    job = the_job;
    board = the_board;
    /* What calm_run() asks for its loop shall be the same for all. */
    prctl(PR_SET_TIMERSLACK, 1);
    note_failure(measures[approach]());
    calm_compare_figures *figures = &board->figures;
    figures->code = atomic_load(&board->failed);
    if (figures->code == 0 && figures->repetitions == 0)
        figures->code = -EPROTO;
    if (figures->code < 0)
        return;
    figures->cpu = usage_sum.cpu / figures->repetitions;
    figures->switches = usage_sum.switches / figures->repetitions;
    figures->others = others_sum > 0 ? others_sum / lasted_sum : 0;
    calm__figures_settle(figures);
    settle_times();
}
