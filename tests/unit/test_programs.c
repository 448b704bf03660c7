/* test_programs.c - random programs, and what must hold for each of them
 *
 * A program is a tree of tasks that lock, wait, send, cancel and nest scopes
 * by the numbers of a seed. Whatever they do: locks exclude, permits and items
 * are neither lost nor doubled, a cancel is seen by every call after it, each
 * group ends after its tasks, and nothing leaks. A failure prints its seed;
 * TEST_SEED runs that one alone.
 */
#include "test.h"

enum {
    PROGRAMS = 3000,
    SANITIZED_PROGRAMS = 400,
    MUTEXES = 2,
    SEMAPHORES = 2,
    QUEUES = 3,
    ITEMS = 4000,
    LONGEST = 300, /* ms, then all is cancelled */
};

struct world {
    uint64_t random;
    calm_mutex mutexes[MUTEXES];
    int holders[MUTEXES];
    calm_semaphore semaphores[SEMAPHORES];
    int64_t permits[SEMAPHORES];
    int64_t inside[SEMAPHORES];
    calm_queue queues[QUEUES];
    unsigned char sent[ITEMS], received[ITEMS];
    int items;
    calm_event event;
    calm_condition condition;
    calm_barrier barrier;
    int alive;
    int tasks;
    bool broken;
};

static struct world world;

#define hold(condition)                                                        \
    do {                                                                       \
        if (!check(condition))                                                 \
            world.broken = true;                                               \
    } while (0)

static int roll(int sides)
{
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    return (int)(world.random >> 33) % sides;
}

static int do_steps(int depth, int count);

/* A call that says -ECANCELED is not the last to do so. */
static int seen(int rc)
{
    if (rc == -ECANCELED) {
        hold(calm_cancelled());
        hold(calm_sleep(roll(2)) == -ECANCELED);
        hold(calm_mutex_lock(&world.mutexes[0]) == -ECANCELED);
        hold(calm_checkpoint() == -ECANCELED);
    }
    return rc;
}

/* ---- steps ---- */

static int step_sleep(int depth)
{
    return seen(calm_sleep(roll(6) * CALM_MS));
}

static int step_checkpoint(int depth)
{
    return seen(calm_checkpoint());
}

static int step_mutex(int depth)
{
    int i = roll(MUTEXES);
    if (world.mutexes[i].owner == calm_self()) {
        hold(calm_cancelled() || calm_mutex_lock(&world.mutexes[i]) != 0);
        calm_error_clear();
        return 0;
    }
    int rc = roll(4) ? seen(calm_mutex_lock(&world.mutexes[i]))
                     : calm_mutex_try_lock(&world.mutexes[i]);
    if (rc < 0)
        return rc == -EBUSY ? 0 : rc;
    hold(++world.holders[i] == 1);
    rc = do_steps(depth - 1, roll(3));
    hold(--world.holders[i] == 0);
    hold(calm_mutex_unlock(&world.mutexes[i]) == 0);
    return rc;
}

static int step_semaphore(int depth)
{
    int i = roll(SEMAPHORES);
    int rc = roll(4) ? seen(calm_semaphore_acquire(&world.semaphores[i]))
                     : calm_semaphore_try_acquire(&world.semaphores[i]);
    if (rc < 0)
        return rc == -EBUSY ? 0 : rc;
    hold(++world.inside[i] <= world.permits[i]);
    rc = do_steps(depth - 1, roll(3));
    world.inside[i]--;
    calm_semaphore_release(&world.semaphores[i]);
    return rc;
}

static int step_put(int depth)
{
    if (world.items == ITEMS)
        return 0;
    int item = world.items++;
    calm_queue *queue = &world.queues[roll(QUEUES)];
    int rc = roll(4) ? seen(calm_queue_put(queue, &item))
                     : calm_queue_try_put(queue, &item);
    world.sent[item] = rc == 0;
    return rc == -EAGAIN || rc == -ESHUTDOWN ? 0 : rc;
}

static int step_get(int depth)
{
    int item = -1;
    calm_queue *queue = &world.queues[roll(QUEUES)];
    int rc = roll(4) ? seen(calm_queue_get(queue, &item))
                     : calm_queue_try_get(queue, &item);
    if (rc == 0) {
        hold(item >= 0 && item < world.items);
        hold(++world.received[item] == 1);
    } else {
        hold(item == -1);
    }
    return rc == -EAGAIN || rc == -ESHUTDOWN ? 0 : rc;
}

static int step_close(int depth)
{
    if (roll(20) == 0)
        calm_queue_close(&world.queues[roll(QUEUES)]);
    return 0;
}

static int step_event(int depth)
{
    switch (roll(3)) {
    case 0:
        calm_event_set(&world.event);
        return 0;
    case 1:
        calm_event_clear(&world.event);
        return 0;
    default:
        return seen(calm_event_wait(&world.event));
    }
}

static int step_condition(int depth)
{
    if (roll(2)) {
        calm_condition_notify(&world.condition, (size_t)roll(3));
        return 0;
    }
    if (world.mutexes[0].owner == calm_self())
        return 0;
    int rc = seen(calm_mutex_lock(&world.mutexes[0]));
    if (rc < 0)
        return rc;
    rc = calm_condition_wait(&world.condition, &world.mutexes[0]);
    hold(world.mutexes[0].owner == calm_self());
    hold(++world.holders[0] == 1);
    if (rc == -ECANCELED)
        hold(calm_cancelled());
    hold(--world.holders[0] == 0);
    hold(calm_mutex_unlock(&world.mutexes[0]) == 0);
    return rc;
}

static int step_barrier(int depth)
{
    int rc = seen(calm_barrier_wait(&world.barrier));
    return rc > 0 ? 0 : rc;
}

static int step_timeout(int depth)
{
    calm_timeout timeout;
    bool cancelled = calm_cancelled();
    int ms = roll(8);
    calm_timeout_begin(&timeout, ms == 7 ? CALM_FOREVER : ms * CALM_MS);
    int rc = do_steps(depth - 1, 1 + roll(3));
    if (roll(5) == 0)
        calm_timeout_reset(&timeout, roll(4) * CALM_MS);
    bool expired = calm_timeout_expired(&timeout);
    int ended = calm_timeout_end(&timeout, rc);
    if (ended == -ETIMEDOUT) {
        hold(expired && rc == -ECANCELED && !calm_cancelled());
        return 0;
    }
    hold(ended == rc);
    if (rc == -ECANCELED)
        hold(calm_cancelled());
    hold(!cancelled || calm_cancelled());
    return rc;
}

/* What is shielded is bounded, or no cancel would ever end it. */
static int step_shield(int depth)
{
    calm_shield shield;
    calm_timeout timeout;
    bool cancelled = calm_cancelled();
    calm_shield_begin(&shield);
    hold(!calm_cancelled());
    calm_timeout_begin(&timeout, roll(6) * CALM_MS);
    int rc = calm_timeout_end(&timeout, do_steps(depth - 1, 1 + roll(2)));
    hold(!calm_cancelled());
    hold(rc != -ECANCELED);
    calm_shield_end(&shield);
    hold(!cancelled || calm_cancelled());
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* ---- tasks ---- */

struct job {
    int depth;
    int *ended;
};

static int task_run(void *arg)
{
    struct job job = *(struct job *)arg;
    free(arg);
    world.alive++;
    int rc = do_steps(job.depth, 1 + roll(6));
    if (rc == -ECANCELED)
        hold(calm_cancelled());
    world.alive--;
    ++*job.ended;
    if (rc == 0 && roll(25) == 0)
        return calm_fail(-EIO, "a failure by chance");
    return rc == -ECANCELED && roll(3) == 0 ? 42 : rc;
}

static struct job *job_new(int depth, int *ended)
{
    struct job *job = malloc(sizeof *job);
    *job = (struct job){depth, ended};
    return job;
}

static calm_task *spawn(calm_group *group, int depth, int *begun, int *ended)
{
    struct job *job = job_new(depth, ended);
    calm_task *task = calm_spawn(group, task_run, job);
    if (!task)
        free(job);
    else
        ++*begun, world.tasks++;
    return task;
}

static int use_a_name(calm_task **name)
{
    int result = 1, rc = 0;
    switch (roll(6)) {
    case 0:
    case 1:
        calm_cancel(*name);
        return 0;
    case 2:
    case 3:
        rc = calm_await(*name, &result);
        hold(result != 1);
        *name = NULL;
        return seen(rc);
    case 4:
        calm_release(*name);
        *name = NULL;
        return 0;
    default:
        rc = calm_wait(name, 1, CALM_ALL);
        if (rc >= 0)
            hold(rc == 1 && calm_task_done(*name));
        return seen(rc < 0 ? rc : 0);
    }
}

static int step_group(int depth)
{
    int begun = 0, ended = 0, count = 1 + roll(4);
    calm_task *tasks[4] = {NULL};
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < count; i++)
        tasks[i] = spawn(&group, depth - 1, &begun, &ended);
    int rc = do_steps(depth - 1, roll(3));
    for (int i = 0; i < 4 && rc == 0; i++)
        if (roll(2))
            rc = use_a_name(&tasks[roll(count)]);
    if (roll(8) == 0)
        calm_group_cancel(&group);
    hold(calm_group_size(&group) == (size_t)(begun - ended));
    rc = calm_group_end(&group, rc);
    hold(begun == ended);
    if (rc == -ECANCELED)
        hold(calm_cancelled());
    if (rc < 0 && rc != -ECANCELED) {
        hold(calm_error_count() > 0);
        hold(calm_error_get(0, NULL) == rc);
    }
    return rc == -EIO && roll(2) ? 0 : rc;
}

static int step_gather(int depth)
{
    int ended = 0, count = roll(5);
    calm_call calls[5];
    calm_result results[5];
    bool with_results = roll(2);
    for (int i = 0; i < 5; i++) {
        calls[i] = (calm_call){task_run, job_new(depth - 1, &ended)};
        results[i].code = 1;
    }
    int rc = calm_gather(calls, (size_t)count, with_results ? results : NULL);
    int begun = ended; /* all that have begun have ended */
    for (int i = begun; i < 5; i++)
        free(calls[i].arg); /* they start in order */
    if (with_results)
        for (int i = 0; i < count; i++)
            hold(results[i].code != 1);
    if (rc == 0)
        hold(begun == count);
    return rc == -EIO ? 0 : seen(rc);
}

typedef int step(int depth);

static int do_steps(int depth, int count)
{
    static step *const flat[] = {step_sleep, step_checkpoint, step_put,
        step_get, step_event, step_close, step_condition, step_barrier};
    static step *const nested[] = {step_mutex, step_semaphore, step_timeout,
        step_shield, step_group, step_gather, step_timeout};
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        if (depth <= 0 || world.tasks > 300 || roll(3) == 0)
            rc = flat[roll(sizeof flat / sizeof *flat)](depth);
        else
            rc = nested[roll(sizeof nested / sizeof *nested)](depth);
    }
    return rc;
}

/* ---- a program ---- */

static void world_begin(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 10; i++)
        roll(2);
    for (int i = 0; i < SEMAPHORES; i++) {
        world.permits[i] = 1 + roll(3);
        calm_semaphore_init(&world.semaphores[i], world.permits[i]);
    }
    for (int i = 0; i < QUEUES; i++)
        check_equal(
            calm_queue_init(&world.queues[i], sizeof(int), (size_t)roll(4),
                &(calm_queue_opts){i == 1 ? CALM_LIFO : CALM_FIFO}),
            0);
    calm_barrier_init(&world.barrier, (size_t)(1 + roll(3)));
}

static void world_end(void)
{
    hold(world.alive == 0);
    for (int i = 0; i < MUTEXES; i++) {
        hold(world.mutexes[i].owner == NULL);
        hold(world.mutexes[i].waiters.first == NULL);
    }
    for (int i = 0; i < SEMAPHORES; i++) {
        hold(world.semaphores[i].permits == world.permits[i]);
        hold(world.semaphores[i].waiters.first == NULL);
    }
    for (int i = 0; i < QUEUES; i++) {
        int item;
        while (calm_queue_try_get(&world.queues[i], &item) == 0)
            world.received[item]++;
        calm_queue_clear(&world.queues[i]);
    }
    for (int i = 0; i < world.items; i++)
        hold(world.sent[i] == world.received[i]);
    hold(world.event.waiters.first == NULL);
    hold(world.condition.waiters.first == NULL);
    hold(world.barrier.waiters.first == NULL);
}

static int random_program(void *arg)
{
    int64_t start = calm_now();
    int begun = 0, ended = 0;
    calm_timeout timeout;
    calm_timeout_begin(&timeout, LONGEST * CALM_MS);
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 4; i++)
        spawn(&group, 4, &begun, &ended);
    int rc = calm_timeout_end(&timeout, calm_group_end(&group, 0));
    hold(begun == ended);
    hold(rc == 0 || rc == -EIO || rc == -ETIMEDOUT);
    hold(!calm_cancelled());
    /* Shields are bounded by 5 ms each, nested at most four deep. */
    hold(ms_since(start) <= LONGEST + 100);
    world_end();
    calm_error_clear();
    return 0;
}

static bool program_holds(uint64_t seed)
{
    world_begin(seed);
    int rc = run_virtual(random_program, NULL);
    if (check_equal(rc, 0) && !world.broken)
        return true;
    fprintf(stderr, "the program of TEST_SEED=%llu: %s\n",
        (unsigned long long)seed, rc < 0 ? calm_message(rc) : "");
    return false;
}

static int thousands_of_random_programs(void *arg)
{
    const char *only = getenv("TEST_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    uint64_t count = only ? 1 : test_sanitized ? SANITIZED_PROGRAMS : PROGRAMS;
    const char *more = getenv("TEST_PROGRAMS");
    if (more)
        count = strtoull(more, NULL, 10);
    uint64_t failed = 0, tasks = 0;
    for (uint64_t seed = first; seed < first + count && failed < 3; seed++) {
        failed += !program_holds(seed);
        tasks += (uint64_t)world.tasks;
    }
    printf("seeds %llu to %llu: %llu tasks\n", (unsigned long long)first,
        (unsigned long long)(first + count - 1), (unsigned long long)tasks);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        plain_test(thousands_of_random_programs),
    };
    return run_list("programs", tests, sizeof tests / sizeof *tests);
}
