/* bench_switch.c - tasks that let each other run
 *
 * The floor goes around the same number of stacks with the bare switch: no
 * queue, no record of who runs.
 */
#include "bench.h"

#include "core/switch.h"

#include <calm.h>

#include <stdlib.h>
#include <sys/mman.h>

enum {
    STEPS = 4000000,
    MOST = 10000,
    STACK = 16384, /* a multiple of a page, as stacks of tasks are */
};

struct round {
    size_t tasks;
    long steps; /* of each */
};

/* ---- the floor ---- */

static struct {
    void *places[MOST];
    void *home;
    size_t tasks, at;
    long left;
} ring;

/* Each stack parks at once, so that all are begun when the clock starts. */
static void *ring_step(void)
{
    calm__switch(&ring.places[ring.at], ring.home, NULL);
    while (ring.left-- > 0) {
        size_t from = ring.at;
        ring.at = from + 1 < ring.tasks ? from + 1 : 0;
        calm__switch(&ring.places[from], ring.places[ring.at], NULL);
    }
    return ring.home;
}

static void floor_yield(void *ctx, double *ret_figures)
{
    const struct round *round = ctx;
    size_t size = round->tasks * STACK;
    char *stacks = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bench_check(stacks == MAP_FAILED ? -1 : 0, "mmap");
    madvise(stacks, size, MADV_NOHUGEPAGE);
    ring.tasks = round->tasks;
    for (ring.at = 0; ring.at < ring.tasks; ring.at++)
        calm__switch(&ring.home, stacks + (ring.at + 1) * STACK, ring_step);
    ring.left = round->steps * (long)round->tasks;
    ring.at = 0;
    double start = bench_cpu();
    calm__switch(&ring.home, ring.places[0], NULL);
    ret_figures[0] = (bench_cpu() - start) / (double)STEPS;
    munmap(stacks, size);
}

/* ---- calm ---- */

static int yield_often(void *arg)
{
    const struct round *round = arg;
    for (long i = 0; i < round->steps; i++)
        calm_checkpoint();
    return 0;
}

static int yield_main(void *arg)
{
    const struct round *round = arg;
    calm_group group;
    calm_group_begin(&group);
    for (size_t i = 0; i < round->tasks; i++)
        calm_spawn(&group, yield_often, arg);
    return calm_group_end(&group, 0);
}

static void calm_yield(void *ctx, double *ret_figures)
{
    double start = bench_cpu();
    bench_check(calm_run(yield_main, ctx), "tasks that yield");
    ret_figures[0] = (bench_cpu() - start) / (double)STEPS;
}

int main(void)
{
    bench_run(&(struct bench){.names = {"switch_2"},
        .floor = floor_yield,
        .calm = calm_yield,
        .ctx = &(struct round){2, STEPS / 2}});
    bench_run(&(struct bench){.names = {"switch_10000"},
        .floor = floor_yield,
        .calm = calm_yield,
        .ctx = &(struct round){MOST, STEPS / MOST}});
    return 0;
}
