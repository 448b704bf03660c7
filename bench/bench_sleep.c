/* bench_sleep.c - a hundred thousand tasks that sleep, and a million
 *
 * Late by is the time beyond the sleep itself from the first spawn until all
 * have ended. The floor is the same number of deadlines in the bare heap and
 * one sleep at a time. Each repetition is a process of its own: memory that
 * was used before would be free of charge. A sleeping task has a page of stack,
 * so what the kernel takes for as many fresh pages is measured, too; on some
 * virtual machines it is most of the time. Ten tasks sleep for the second
 * time, beside one sleep of the kernel's.
 */
#include "bench.h"

#include "base/heap.h"

#include <calm.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

struct sleepers {
    size_t count;
    int64_t duration;
    double resident; /* per task: started, and before that */
    double unstarted;
    double late;
};

/* ---- the floor ---- */

static void sleep_until(int64_t deadline)
{
    struct timespec time = {deadline / CALM_S, deadline % CALM_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0)
        continue;
}

static void floor_sleep(void *ctx, double *ret_figures)
{
    const struct sleepers *sleepers = ctx;
    double cpu = bench_cpu(), start = bench_clock();
    struct calm__timer *timers = calloc(sleepers->count, sizeof *timers);
    struct calm__heap heap = {0};
    bench_check(timers ? calm__heap_reserve(&heap, sleepers->count) : -1,
        "a heap of deadlines");
    for (size_t i = 0; i < sleepers->count; i++) {
        timers[i].deadline = calm_now() + sleepers->duration;
        calm__heap_insert(&heap, &timers[i]);
    }
    for (struct calm__timer *timer; (timer = calm__heap_first(&heap));) {
        if (calm_now() < timer->deadline)
            sleep_until(timer->deadline);
        calm__heap_remove(&heap, timer);
    }
    calm__heap_clear(&heap);
    free(timers);
    ret_figures[0] =
        (bench_clock() - start - (double)sleepers->duration) / CALM_MS;
    ret_figures[1] = (bench_cpu() - cpu) / CALM_MS;
}

static void floor_pages(void *ctx, double *ret_figures)
{
    const struct sleepers *sleepers = ctx;
    size_t size = sleepers->count * 4096;
    double start = bench_clock();
    char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bench_check(pages == MAP_FAILED ? -1 : 0, "pages");
    madvise(pages, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        ((volatile char *)pages)[i] = 1;
    ret_figures[0] = (bench_clock() - start) / CALM_MS;
    munmap(pages, size);
}

static void floor_nap(void *ctx, double *ret_figures)
{
    const struct sleepers *sleepers = ctx;
    double start = bench_clock();
    sleep_until(calm_now() + sleepers->duration);
    ret_figures[0] =
        (bench_clock() - start - (double)sleepers->duration) / CALM_MS;
}

/* ---- calm ---- */

static int sleep_once(void *arg)
{
    return calm_sleep(((struct sleepers *)arg)->duration);
}

static int sleep_main(void *arg)
{
    struct sleepers *sleepers = arg;
    return calm_map(sleep_once, sleepers, sleepers->count, 0, NULL);
}

static void calm_sleepers(void *ctx, double *ret_figures)
{
    const struct sleepers *sleepers = ctx;
    double cpu = bench_cpu(), start = bench_clock();
    bench_check(calm_run(sleep_main, ctx), "tasks that sleep");
    ret_figures[0] =
        (bench_clock() - start - (double)sleepers->duration) / CALM_MS;
    ret_figures[1] = (bench_cpu() - cpu) / CALM_MS;
}

static int nap_main(void *arg)
{
    struct sleepers *sleepers = arg;
    int rc = sleep_main(arg);
    double start = bench_clock();
    if (rc == 0)
        rc = sleep_main(arg);
    sleepers->late =
        (bench_clock() - start - (double)sleepers->duration) / CALM_MS;
    return rc;
}

static void calm_nap(void *ctx, double *ret_figures)
{
    bench_check(calm_run(nap_main, ctx), "ten tasks that sleep");
    ret_figures[0] = ((struct sleepers *)ctx)->late;
}

/* ---- memory: all are spawned before any runs, then all are asleep ---- */

static int memory_main(void *arg)
{
    struct sleepers *sleepers = arg;
    double before = bench_resident();
    calm_group group;
    calm_group_begin(&group);
    for (size_t i = 0; i < sleepers->count; i++)
        calm_spawn(&group, sleep_once, sleepers);
    double spawned = bench_resident();
    int rc = calm_checkpoint();
    double asleep = bench_resident();
    sleepers->unstarted = (spawned - before) / (double)sleepers->count;
    sleepers->resident = (asleep - before) / (double)sleepers->count;
    calm_group_cancel(&group);
    return calm_group_end(&group, rc);
}

static void calm_memory(void *ctx, double *ret_figures)
{
    struct sleepers *sleepers = ctx;
    bench_check(calm_run(memory_main, ctx), "the memory of tasks");
    ret_figures[0] = sleepers->resident;
    ret_figures[1] = sleepers->unstarted;
}

int main(void)
{
    bench_run(&(struct bench){.names = {"sleep_10_late"},
        .floor = floor_nap,
        .calm = calm_nap,
        .ctx = &(struct sleepers){10, 100 * CALM_MS}});
    bench_run(&(struct bench){.names = {"operations_late"},
        .fresh = true,
        .floor = floor_sleep,
        .calm = calm_sleepers,
        .ctx = &(struct sleepers){10000, 100 * CALM_MS}});
    bench_run(&(struct bench){.names = {"sleep_100k_late", "sleep_100k_cpu"},
        .fresh = true,
        .floor = floor_sleep,
        .calm = calm_sleepers,
        .ctx = &(struct sleepers){100000, CALM_S}});
    bench_run(&(struct bench){.names = {"pages_100k"},
        .fresh = true,
        .floor = floor_pages,
        .ctx = &(struct sleepers){.count = 100000}});
    bench_run(&(struct bench){.names = {"sleep_1m_late", "sleep_1m_cpu"},
        .fresh = true,
        .floor = floor_sleep,
        .calm = calm_sleepers,
        .ctx = &(struct sleepers){1000000, CALM_S},
        .repetitions = 3});
    bench_run(
        &(struct bench){.names = {"resident_started", "resident_unstarted"},
            .fresh = true,
            .calm = calm_memory,
            .repetitions = 3,
            .ctx = &(struct sleepers){100000, CALM_S}});
    return 0;
}
