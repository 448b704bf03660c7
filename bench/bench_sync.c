/* bench_sync.c - tasks that wait for each other: queues, locks, permits
 *
 * The floor of the queue is the same ring of 128 filled and emptied by turns
 * in one loop; a lock among tasks of one thread has none.
 */
#include "bench.h"

#include <calm.h>

#include <errno.h>
#include <stdint.h>

enum {
    ITEMS = 2000000,
    TRIPS = 500000,
    CAPACITY = 128,
    TASKS = 1000,
    TURNS = 500, /* of each task */
    PERMITS = 10,
};

/* ---- a queue of 128, one producer, one consumer ---- */

static calm_queue queue;
static volatile uint64_t sum_seen;

static int produce(void *arg)
{
    int rc = 0;
    for (uint64_t i = 0; i < ITEMS && rc == 0; i++)
        rc = calm_queue_put(&queue, &i);
    calm_queue_close(&queue);
    return rc;
}

static int consume(void *arg)
{
    uint64_t item, sum = 0;
    int rc;
    while ((rc = calm_queue_get(&queue, &item)) == 0)
        sum += item;
    sum_seen = sum;
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int queue_main(void *arg)
{
    bench_check(
        calm_queue_init(&queue, sizeof(uint64_t), CAPACITY, NULL), "queue");
    int rc =
        calm_gather((calm_call[]){{produce, NULL}, {consume, NULL}}, 2, NULL);
    calm_queue_clear(&queue);
    return rc;
}

static void calm_queues(void *ctx, double *ret_figures)
{
    double start = bench_cpu();
    bench_check(calm_run(queue_main, NULL), "a queue");
    ret_figures[0] = (bench_cpu() - start) / ITEMS;
}

static void floor_queue(void *ctx, double *ret_figures)
{
    static volatile uint64_t slots[CAPACITY];
    uint64_t head = 0, tail = 0, sum = 0;
    double start = bench_cpu();
    while (head < ITEMS) {
        while (tail < ITEMS && tail - head < CAPACITY) {
            slots[tail % CAPACITY] = tail;
            tail++;
        }
        while (head < tail)
            sum += slots[head++ % CAPACITY];
    }
    sum_seen = sum;
    ret_figures[0] = (bench_cpu() - start) / ITEMS;
}

/* ---- ping-pong: a queue of one in each direction, a trip is both ---- */

static calm_queue there, back;

static int ping(void *arg)
{
    int rc = 0;
    for (uint64_t i = 0, answer; i < TRIPS && rc == 0; i++) {
        rc = calm_queue_put(&there, &i);
        if (rc == 0)
            rc = calm_queue_get(&back, &answer);
    }
    calm_queue_close(&there);
    return rc;
}

static int pong(void *arg)
{
    uint64_t item;
    int rc;
    while ((rc = calm_queue_get(&there, &item)) == 0 &&
           (rc = calm_queue_put(&back, &item)) == 0)
        continue;
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int channel_main(void *arg)
{
    calm_queue *queues[] = {&there, &back};
    for (int i = 0; i < 2; i++)
        bench_check(
            calm_queue_init(queues[i], sizeof(uint64_t), 1, NULL), "queue");
    int rc = calm_gather((calm_call[]){{ping, NULL}, {pong, NULL}}, 2, NULL);
    for (int i = 0; i < 2; i++)
        calm_queue_clear(queues[i]);
    return rc;
}

static void calm_channel(void *ctx, double *ret_figures)
{
    double start = bench_cpu();
    bench_check(calm_run(channel_main, NULL), "ping-pong");
    ret_figures[0] = (bench_cpu() - start) / TRIPS;
}

/* ---- a lock and a semaphore, held across a switch ---- */

static calm_mutex mutex;
static calm_semaphore semaphore;

static int lock_turns(void *arg)
{
    int rc = 0;
    for (int i = 0; i < TURNS && rc == 0; i++) {
        rc = calm_mutex_lock(&mutex);
        if (rc < 0)
            break;
        rc = calm_checkpoint();
        calm_mutex_unlock(&mutex);
    }
    return rc;
}

static int permit_turns(void *arg)
{
    int rc = 0;
    for (int i = 0; i < TURNS && rc == 0; i++) {
        rc = calm_semaphore_acquire(&semaphore);
        if (rc < 0)
            break;
        rc = calm_checkpoint();
        calm_semaphore_release(&semaphore);
    }
    return rc;
}

static int many_main(void *arg)
{
    calm_semaphore_init(&semaphore, PERMITS);
    return calm_map(*(calm_fn **)arg, "", TASKS, 0, NULL);
}

static void calm_many(void *ctx, double *ret_figures)
{
    double start = bench_cpu();
    bench_check(calm_run(many_main, ctx), "tasks at a lock");
    ret_figures[0] = (bench_cpu() - start) / (TASKS * TURNS);
}

int main(void)
{
    bench_run(&(struct bench){.names = {"channel"}, .calm = calm_channel});
    bench_run(&(struct bench){
        .names = {"queue_128"}, .floor = floor_queue, .calm = calm_queues});
    bench_run(&(struct bench){.names = {"mutex_1000"},
        .calm = calm_many,
        .ctx = &(calm_fn *){lock_turns}});
    bench_run(&(struct bench){.names = {"semaphore_1000"},
        .calm = calm_many,
        .ctx = &(calm_fn *){permit_turns}});
    return 0;
}
