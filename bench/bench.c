/* bench.c - measuring calm beside a floor, and the line that says so */
#include "bench.h"

#include <calm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double clock_read(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

double bench_clock(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

double bench_cpu(void)
{
    return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1)
        bench_check(-1, "/proc/self/statm");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void bench_check(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, calm_message(rc));
    exit(1);
}

/* The child sends its figures through a pipe. */
void bench_fresh(bench_fn *fn, void *ctx, double *ret_figures)
{
    const size_t size = BENCH_FIGURES * sizeof *ret_figures;
    int ends[2];
    bench_check(pipe(ends), "pipe");
    pid_t child = fork();
    bench_check(child, "fork");
    if (child == 0) {
        fn(ctx, ret_figures);
        _exit(write(ends[1], ret_figures, size) != (ssize_t)size);
    }
    close(ends[1]);
    bool good = read(ends[0], ret_figures, size) == (ssize_t)size;
    close(ends[0]);
    waitpid(child, NULL, 0);
    bench_check(good ? 0 : -1, "a repetition in a process of its own");
}

static int figures_compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(const double (*figures)[BENCH_FIGURES], int count, int at)
{
    double column[64];
    for (int i = 0; i < count; i++)
        column[i] = figures[i][at];
    qsort(column, (size_t)count, sizeof *column, figures_compare);
    return column[count / 2];
}

static void figure_print(double figure)
{
    if (figure == BENCH_NONE)
        printf("\t-");
    else
        printf("\t%.6g", figure);
}

void bench_run(const struct bench *bench)
{
    int repetitions =
        bench->repetitions ? bench->repetitions : BENCH_REPETITIONS;
    double figures[2][64][BENCH_FIGURES];
    bench_fn *sides[] = {bench->floor, bench->calm};
    for (int i = 0; i < repetitions; i++) {
        for (int side = 0; side < 2; side++) {
            for (int at = 0; at < BENCH_FIGURES; at++)
                figures[side][i][at] = BENCH_NONE;
            if (!sides[side])
                continue;
            if (bench->fresh)
                bench_fresh(sides[side], bench->ctx, figures[side][i]);
            else
                sides[side](bench->ctx, figures[side][i]);
        }
    }
    for (int at = 0; at < BENCH_FIGURES && bench->names[at]; at++) {
        printf("%s", bench->names[at]);
        for (int side = 0; side < 2; side++)
            figure_print(median((const void *)figures[side], repetitions, at));
        printf("\n");
        fflush(stdout);
    }
}
