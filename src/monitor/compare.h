/* monitor/compare.h - what the files of the comparison share
 *
 *     compare.c          forks a process for each approach, calls them in turn
 *     compare_measure.c  in such a process: the repetitions, four ways
 *     compare_work.c     what a task does
 *     compare_folder.c   a folder of files, which goes away in any case
 *     compare_server.c   a server to request
 *     compare_usage.c    processor time, memory, switches of some processes
 *     compare_judge.c    what follows from the figures
 *     compare_text.c, compare_json.c, compare_svg.c    shows them
 */
#ifndef CALM_MONITOR_COMPARE_H
#define CALM_MONITOR_COMPARE_H

#include <calm/compare.h>
#include <calm/http.h>

#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    CALM__SAMPLES = 8192, /* of times of single tasks, at most */
    CALM__URL = 2048,
};

/* The files that a task each reads. */
struct calm__folder {
    char **paths;
    size_t count;
    char *made;    /* the folder, when it is our own */
    pid_t janitor; /* removes it, whatever becomes of us */
    int leash;     /* the janitor waits for its end */
};

/* What tasks do, the same in all processes. */
struct calm__job {
    calm_compare_opts opts; /* all defaults in place */
    struct calm__folder folder;
    char url[CALM__URL];
    pid_t server;   /* 0: it is somebody else's */
    size_t mask;    /* tasks are timed whose number has none of these bits */
    size_t samples; /* of a repetition, at most */
};

/* In memory that the measuring process, its threads and its workers share with
 * the one that calls it. */
struct calm__board {
    int turn;            /* a pipe: a byte begins a repetition */
    pid_t caller;        /* is sent SIGCHLD after each */
    _Atomic int rounds;  /* that are done */
    _Atomic size_t next; /* task */
    _Atomic size_t done;
    _Atomic int64_t deadline;
    _Atomic int failed; /* the first task's error */
    _Atomic int round;  /* counted, or -1 when it warms up */
    calm_compare_figures figures;
    _Atomic int64_t times[CALM__SAMPLES]; /* ns; 0: not measured */
};

/* ---- compare_work.c ---- */

/* Whether the work requests something, for which there is a loop in any
 * approach: tasks of one thread or process then do it one after the other. */
bool calm__job_requests(const struct calm__job *job);

/* Does task INDEX. The first blocks the thread; it is not for requests. The
 * second is for a loop in which nothing else waits, the third for one that has
 * many tasks. HTTP may be NULL when nothing is requested. Returns 0 or an
 * error with a sentence. */
int calm__job_block(const struct calm__job *job, size_t index);
CALM_SUSPENDS int calm__job_alone(
    const struct calm__job *job, calm_http *http, size_t index);
CALM_SUSPENDS int calm__job_suspend(
    const struct calm__job *job, calm_http *http, size_t index);

/* Sums the squares of all numbers below AMOUNT. -EDOM when the sum is not
 * what the closed form says. */
int calm__job_compute(uint64_t amount);

/* ---- compare_folder.c ---- */

/* Lists the files of PATH, or makes a folder of its own when it is NULL. */
int calm__folder_open(struct calm__folder *folder, const char *path);
void calm__folder_close(struct calm__folder *folder);

/* Asks the kernel to forget what the first COUNT files hold. */
void calm__folder_chill(const struct calm__folder *folder, size_t count);

/* ---- compare_server.c ---- */

/* Starts one, and says what to GET. */
int calm__server_start(pid_t *ret_id, char url[CALM__URL]);

/* Ends it; 0 is fine. */
void calm__server_stop(pid_t id);

/* ---- compare_usage.c ---- */

struct calm__usage {
    double cpu; /* seconds */
    double switches;
};

/* Processor time that the whole machine has spent, in seconds, to a hundredth
 * or so; 0 where /proc does not tell. */
double calm__usage_machine(void);

/* Of this process and of COUNT others, whose ids may be 0. */
void calm__usage_now(
    const pid_t *others, int count, struct calm__usage *ret_usage);

/* The peak of this process and what the others have now, in bytes. Pages that
 * they share count once. */
double calm__usage_memory(const pid_t *others, int count);

/* How many threads may be made for a measurement without harm to others. */
size_t calm__usage_threads_most(void);

/* ---- compare_measure.c ---- */

/* In a process of its own: measures APPROACH into BOARD's figures. */
void calm__measure(const struct calm__job *job, enum calm_approach approach,
    struct calm__board *board);

/* ---- compare_judge.c ---- */

/* Sorts the repetitions' walls and computes median and middle half. */
void calm__figures_settle(calm_compare_figures *figures);

/* Sorts COUNT times in ns, not 0, and computes p50, p99 and mean. */
void calm__figures_times(
    calm_compare_figures *figures, int64_t *times, size_t count);

/* ---- compare_text.c ---- */

/* "1.234 s", "12.3 ms", "4.1 MiB": into one of a few buffers of the caller. */
const char *calm__show_seconds(char buffer[16], double seconds);
const char *calm__show_bytes(char buffer[16], double bytes);

#endif
