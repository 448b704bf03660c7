/* bench_spawn.c - tasks that end at once
 *
 * The floor of a spawn with its await is a stack that is begun and left; that
 * of a gather, where tasks hand their stack on, a call of each function.
 */
#include "bench.h"

#include "core/switch.h"

#include <calm.h>

#include <stdlib.h>

enum {
    SPAWNS = 1000000,
    CALLS = 100000,
};

static int nothing(void *arg)
{
    return 0;
}

/* ---- spawn and await ---- */

static void *home;

static void *start_and_end(void)
{
    return home;
}

static void floor_spawn(void *ctx, double *ret_figures)
{
    static _Alignas(16) char stack[16384];
    double start = bench_cpu();
    for (int i = 0; i < SPAWNS; i++)
        calm__switch(&home, stack + sizeof stack, start_and_end);
    ret_figures[0] = (bench_cpu() - start) / SPAWNS;
}

static int spawn_main(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    int rc = 0;
    for (int i = 0; i < SPAWNS && rc == 0; i++)
        rc = calm_await(calm_spawn(&group, nothing, NULL), NULL);
    return calm_group_end(&group, rc);
}

static void calm_spawns(void *ctx, double *ret_figures)
{
    double start = bench_cpu();
    bench_check(calm_run(spawn_main, NULL), "spawn and await");
    ret_figures[0] = (bench_cpu() - start) / SPAWNS;
}

/* ---- gather ---- */

static void floor_gather(void *ctx, double *ret_figures)
{
    const volatile calm_call *calls = ctx;
    double start = bench_cpu();
    for (int i = 0; i < CALLS; i++)
        bench_check(calls[i].fn(calls[i].arg), "a call");
    ret_figures[0] = (bench_cpu() - start) / CALLS;
}

static int gather_main(void *arg)
{
    return calm_gather(arg, CALLS, NULL);
}

static void calm_gathers(void *ctx, double *ret_figures)
{
    double start = bench_cpu();
    bench_check(calm_run(gather_main, ctx), "gather");
    ret_figures[0] = (bench_cpu() - start) / CALLS;
}

int main(void)
{
    bench_run(&(struct bench){
        .names = {"spawn_await"}, .floor = floor_spawn, .calm = calm_spawns});
    calm_call *calls = malloc(CALLS * sizeof *calls);
    bench_check(calls ? 0 : -1, "malloc");
    for (int i = 0; i < CALLS; i++)
        calls[i] = (calm_call){nothing, NULL};
    bench_run(&(struct bench){.names = {"gather"},
        .floor = floor_gather,
        .calm = calm_gathers,
        .ctx = calls,
        .repetitions = 9});
    free(calls);
    return 0;
}
