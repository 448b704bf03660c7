/* bench.h - measuring calm beside a floor, and the line that says so
 *
 * A floor is plain C that does only the work that is measured. Both sides run
 * by turns in one process, several times, and the medians count: a noisy
 * machine hits both alike.
 *
 * Each figure is a line of three columns with a tab between them: its name,
 * the floor and calm, "-" for what was not measured. targets.tsv has a text,
 * a unit and the figure to reach for each name; run.sh puts them together.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>

enum {
    BENCH_FIGURES = 4, /* that one repetition may bring, at most */
    BENCH_REPETITIONS = 5,
};

#define BENCH_NONE (-1.0) /* a figure that this side does not have */

/* One repetition: leaves the figures of all names of its measurement. */
typedef void bench_fn(void *ctx, double *ret_figures);

struct bench {
    const char *names[BENCH_FIGURES]; /* in the order of the figures */
    bench_fn *floor;                  /* may be NULL */
    bench_fn *calm;
    void *ctx;

    /* Every repetition in a process of its own, so that memory counts. */
    bool fresh;
    int repetitions; /* 0: the default */
};

/* Measures and prints. Ends the program when something fails. */
void bench_run(const struct bench *bench);

/* One repetition in a process of its own. */
void bench_fresh(bench_fn *fn, void *ctx, double *ret_figures);

/* The monotonic clock and the CPU time of the process, in nanoseconds; its
 * resident bytes. What never waits is measured in CPU time, which others on
 * the machine lengthen less. */
double bench_clock(void);
double bench_cpu(void);
double bench_resident(void);

/* Ends the program with a sentence unless RC is good. */
void bench_check(int rc, const char *what);

#endif
