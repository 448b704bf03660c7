/* concurrency_comparison.c - the same work sync, async, in threads and in
 * processes
 *
 * Ten tasks wait for a tenth of a second each, ten others compute. What is
 * fastest, and by how much, is measured here and now; `calm compare` does it
 * with more repetitions, and judges what the noise allows.
 */
#include <calm.h>

#include <stdio.h>
#include <time.h>

enum { TASKS = 10, NUMBERS = 20000000 };
enum { SYNC, ASYNC, THREADS, PROCESSES, WAYS };

static const char *const ways[] = {"sync", "async", "threads", "processes"};
static calm_process_pool *pool;

static int wait_blocking(void *sum)
{
    return nanosleep(&(struct timespec){.tv_nsec = 100 * CALM_MS}, NULL);
}

static int wait_async(void *sum)
{
    return calm_sleep(100 * CALM_MS);
}

static int sum_squares(void *sum)
{
    for (uint64_t i = 0; i < NUMBERS; i++)
        *(volatile uint64_t *)sum += i * i;
    return 0;
}

/* Each runs in a thread, and a task waits for it. */
static int wait_in_thread(void *sum)
{
    return calm_blocking(wait_blocking, sum);
}

static int sum_in_thread(void *sum)
{
    return calm_cpu(sum_squares, sum);
}

static int work(int way, calm_fn *blocking, calm_fn *async, calm_fn *in_thread)
{
    /* A cache line for each: two processors that write to the same one would
     * take it from each other all the time. */
    uint64_t sums[TASKS][8] = {{0}};
    if (way == ASYNC)
        return calm_map(async, sums, TASKS, sizeof *sums, NULL);
    if (way == THREADS)
        return calm_map(in_thread, sums, TASKS, sizeof *sums, NULL);
    if (way == PROCESSES)
        return calm_process_map(
            pool, blocking, sums, TASKS, sizeof *sums, NULL);
    for (int i = 0; i < TASKS; i++)
        blocking(&sums[i]);
    return 0;
}

static int compare(void *arg)
{
    double first[2];
    int rc = 0;
    printf("%d tasks    waiting             computing\n", TASKS);
    for (int way = SYNC; rc == 0 && way < WAYS; way++) {
        printf("%-12s", ways[way]);
        for (int kind = 0; rc == 0 && kind < 2; kind++) {
            int64_t start = calm_now();
            rc = kind == 0
                     ? work(way, wait_blocking, wait_async, wait_in_thread)
                     : work(way, sum_squares, sum_squares, sum_in_thread);
            double seconds = calm_seconds_since(start);
            first[kind] = way == SYNC ? seconds : first[kind];
            printf("%.3f s, %4.1f times  ", seconds, first[kind] / seconds);
        }
        puts("");
    }
    puts("what waits is for async: a task costs less than a thread or process\n"
         "what computes is for threads, one for each processor\n"
         "what may crash, or is not safe beside threads, is for processes");
    return rc;
}

int main(void)
{
    const calm_process_pool_opts opts = {.processes = TASKS};
    int rc = calm_process_pool_open(&opts, &pool);
    if (rc == 0)
        rc = calm_run(compare, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", calm_message(rc));
    calm_process_pool_close(pool);
    return rc < 0;
}
