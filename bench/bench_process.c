/* bench_process.c - a small item to a worker process and back
 *
 * The floor is two processes that hand a number to and fro through shared
 * memory and never sleep: one task after the other cannot be faster.
 */
#include "bench.h"

#include <calm.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 20000 };

struct line {
    _Alignas(64) _Atomic int request;
    _Alignas(64) _Atomic int answer;
};

static void floor_calls(void *ctx, double *ret_figures)
{
    struct line *line = mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_check(line == MAP_FAILED ? -1 : 0, "mmap");
    pid_t child = fork();
    bench_check(child < 0 ? -1 : 0, "fork");
    for (int i = 1; child == 0 && i <= CALLS; i++) {
        while (atomic_load(&line->request) != i)
            continue;
        atomic_store(&line->answer, i);
    }
    if (child == 0)
        _exit(EXIT_SUCCESS);
    double start = bench_clock();
    for (int i = 1; i <= CALLS; i++) {
        atomic_store(&line->request, i);
        while (atomic_load(&line->answer) != i)
            continue;
    }
    ret_figures[0] = (bench_clock() - start) / CALLS / CALM_US;
    waitpid(child, NULL, 0);
    munmap(line, sizeof *line);
}

static int add_one(void *item)
{
    ++*(int *)item;
    return 0;
}

static double lasted;

static int calls_main(void *pool)
{
    int item = 0, rc = calm_process_call(pool, add_one, &item, sizeof item);
    double start = bench_clock();
    for (int i = 0; i < CALLS && rc == 0; i++)
        rc = calm_process_call(pool, add_one, &item, sizeof item);
    lasted = bench_clock() - start;
    bench_check(item == CALLS + 1 ? 0 : -1, "the items that came back");
    return rc;
}

static void calm_calls(void *ctx, double *ret_figures)
{
    calm_process_pool *pool;
    bench_check(calm_process_pool_open(
                    &(calm_process_pool_opts){.processes = 1}, &pool),
        "a process pool");
    bench_check(calm_run(calls_main, pool), "calls");
    calm_process_pool_close(pool);
    ret_figures[0] = lasted / CALLS / CALM_US;
}

int main(void)
{
    bench_run(&(struct bench){
        .names = {"process_call"}, .floor = floor_calls, .calm = calm_calls});
    return 0;
}
