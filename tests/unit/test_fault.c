/* test_fault.c - the N-th allocation, spawn, stack, guard or timer fails
 *
 * Each program runs again and again, with the first question answered by a
 * failure, then the second, until it asks fewer. However it ends, nothing may
 * be lost, left behind or blamed on another cause.
 */
#include "test.h"

#include "base/error.h"
#include "base/fault.h"

static calm_fn *program; /* its result is 0 or what the fault made of it */
static int alive;        /* tasks between their first step and their end */

/* ---- the programs ---- */

static int work(void *arg)
{
    alive++;
    int rc = calm_sleep(1 + (intptr_t)arg % 7);
    alive--;
    return rc;
}

static int group_of_sleepers(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 400; i++)
        calm_spawn(&group, work, number(i));
    int rc = calm_group_end(&group, 0);
    check_equal(alive, 0);
    return rc;
}

static int nested_groups(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return calm_sleep(CALM_MS);
    alive++;
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, nested_groups, number(depth - 1));
    calm_spawn(&group, nested_groups, number(depth - 1));
    int rc = calm_group_end(&group, 0);
    alive--;
    return rc;
}

static int tree_of_groups(void *arg)
{
    int rc = nested_groups(number(5));
    check_equal(alive, 0);
    return rc;
}

static int owns_its_argument(void *arg)
{
    int rc = calm_sleep(CALM_MS);
    free(arg);
    return rc;
}

/* As the header says: NULL means that the argument is still the caller's. A
 * task that gets no stack cannot free it, so that one is left out. */
static int arguments_are_freed(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 100; i++) {
        void *memory = malloc(16);
        if (!calm_spawn(&group, owns_its_argument, memory))
            free(memory);
    }
    return calm_group_end(&group, 0);
}

static int gathers(void *arg)
{
    calm_call calls[100];
    calm_result results[100];
    for (int i = 0; i < 100; i++)
        calls[i] = (calm_call){work, number(i)};
    int rc = calm_gather(calls, 100, NULL);
    check_equal(alive, 0);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 100; i++)
        results[i].code = 1;
    rc = calm_gather(calls, 100, results);
    check_equal(alive, 0);
    int failed = 0;
    for (int i = 0; i < 100; i++) {
        check(results[i].code <= 0);
        failed += results[i].code < 0;
    }
    /* One has failed, and nobody else has for that. */
    check(failed <= 1);
    check_equal(rc, 0);
    return failed ? -ENOMEM : 0;
}

static int maps(void *arg)
{
    static int items[100];
    calm_result results[100];
    for (size_t limit = 0; limit < 8; limit += 7) {
        int rc = calm_map(
            work, items, 100, sizeof *items, &(calm_map_opts){.limit = limit});
        check_equal(alive, 0);
        if (rc < 0)
            return rc;
        rc = calm_map(
            work, items, 100, sizeof *items, &(calm_map_opts){limit, results});
        check_equal(alive, 0);
        check_equal(rc, 0);
        int failed = 0;
        for (int i = 0; i < 100; i++)
            failed += results[i].code < 0;
        check(failed <= 1);
        if (failed)
            return -ENOMEM;
    }
    return 0;
}

static int awaits(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    int rc = 0;
    for (int i = 0; i < 50 && rc == 0; i++) {
        int result = 1;
        rc = calm_await(calm_spawn(&group, work, number(i)), &result);
        check(result <= 0);
    }
    return calm_group_end(&group, rc);
}

static int waits(void *arg)
{
    calm_task *tasks[20];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 20; i++)
        tasks[i] = calm_spawn(&group, work, number(i));
    int rc = calm_wait(tasks, 20, CALM_FIRST_COMPLETED);
    if (rc >= 0)
        rc = calm_wait(tasks, 20, CALM_ALL);
    check(rc < 0 || rc == 20);
    calm_as_completed iterator;
    calm_task *task;
    if (rc >= 0)
        rc = calm_as_completed_begin(&iterator, tasks, 20);
    while (rc >= 0 && (rc = calm_as_completed_next(&iterator, &task)) > 0)
        check(calm_task_done(task));
    if (rc >= 0)
        calm_as_completed_end(&iterator);
    return calm_group_end(&group, rc < 0 ? rc : 0);
}

static int begin_fails_and_end_is_due(void *arg)
{
    calm_task *tasks[3] = {NULL};
    calm_as_completed iterator;
    int rc = calm_as_completed_begin(&iterator, tasks, 3);
    calm_as_completed_end(&iterator);
    return rc;
}

struct channel {
    calm_queue queue;
    int put, got, sum_put, sum_got;
};

static int produce(void *arg)
{
    struct channel *channel = arg;
    int rc = 0;
    for (int i = 1; i <= 100 && rc == 0; i++) {
        rc = calm_queue_put(&channel->queue, &i);
        if (rc == 0)
            channel->put++, channel->sum_put += i;
    }
    calm_queue_close(&channel->queue);
    return rc;
}

static int consume(void *arg)
{
    struct channel *channel = arg;
    int item, rc;
    while ((rc = calm_queue_get(&channel->queue, &item)) == 0)
        channel->got++, channel->sum_got += item;
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int channels(void *arg)
{
    for (size_t capacity = 0; capacity < 60; capacity += 50) {
        struct channel channel = {.put = 0};
        calm_queue_init(&channel.queue, sizeof(int), capacity, NULL);
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(&group, produce, &channel);
        calm_spawn(&group, consume, &channel);
        int rc = calm_group_end(&group, 0);
        check_equal(channel.put,
            channel.got + (long long)calm_queue_size(&channel.queue));
        if (rc == 0)
            check_equal(channel.sum_put, channel.sum_got);
        calm_queue_clear(&channel.queue);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static calm_local key;

static int see_local(void *arg)
{
    /* Without memory for it a child has no values. */
    void *value = calm_local_get(&key);
    check(value == NULL || value == &key);
    return calm_name("child");
}

static int names_and_locals(void *arg)
{
    int rc = calm_name("parent");
    if (rc == 0)
        rc = calm_local_set(&key, (void *)&key);
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 20 && rc == 0; i++)
        calm_spawn(&group, see_local, NULL);
    return calm_group_end(&group, rc);
}

static int timeouts(void *arg)
{
    int rc = calm_with_timeout(CALM_MS, sleep_ms, number(5));
    if (rc != -ETIMEDOUT)
        return rc;
    rc = calm_with_timeout(5 * CALM_MS, sleep_ms, number(1));
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_FOREVER);
    calm_timeout_reset(&timeout, CALM_MS);
    if (rc == 0)
        rc = calm_sleep(CALM_S);
    rc = calm_timeout_end(&timeout, rc);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int fail_deeply(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++)
        if (depth)
            calm_spawn(&group, fail_deeply, number(depth - 1));
        else
            calm_spawn(&group, fail_saying, "from below");
    return calm_while(calm_group_end(&group, 0), "level %d", (int)depth);
}

static int failures_go_up(void *arg)
{
    int rc = fail_deeply(number(2));
    check(rc == -EIO || rc == -ENOMEM);
    calm_message(rc);
    return rc == -EIO ? 0 : rc;
}

static int fail_twice_then_succeed(void *arg)
{
    return ++*(int *)arg <= 2 ? calm_fail(-EIO, "not yet") : 0;
}

static int retries(void *arg)
{
    int count = 0;
    return calm_retry(fail_twice_then_succeed, &count, NULL);
}

static struct {
    int taken, sunk, dropped;
} flow;

static int source(void **ret_item, void *ctx)
{
    if (flow.taken == 50)
        return 0;
    *ret_item = number(++flow.taken);
    return 1;
}

static int stage(void *item, void *ctx)
{
    int rc = calm_sleep(CALM_MS);
    if (rc < 0)
        return rc;
    return (intptr_t)item % 5 ? 0 : calm_fail(-EINVAL, "a fifth");
}

static int sink(void *item, int code, void *ctx)
{
    flow.sunk++;
    return 0;
}

static void drop(void *item, void *ctx)
{
    flow.dropped++;
}

static int pipelines(void *arg)
{
    static const calm_stage stages[] = {
        {.fn = stage, .concurrency = 3}, {.fn = stage, .concurrency = 2}};
    memset(&flow, 0, sizeof flow);
    calm_pipeline pipeline = {.source = source,
        .stages = stages,
        .stage_count = 2,
        .sink = sink,
        .drop = drop};
    int rc = calm_pipeline_run(&pipeline);
    check_equal(flow.taken, flow.sunk + flow.dropped);
    if (rc == 0)
        check_equal(flow.sunk, 50);
    return rc;
}

static void set_event(void *arg)
{
    calm_event_set(arg);
}

static int posts(void *arg)
{
    calm_event event = {0};
    calm_poster *poster = calm_poster_open();
    if (!poster)
        return -ENOMEM;
    int rc = calm_post(poster, set_event, &event);
    if (rc == 0)
        rc = calm_event_wait(&event);
    calm_poster_close(poster);
    return rc;
}

/* ---- the loop over all failures ---- */

static int run_program(void *arg)
{
    int rc = program(NULL);
    check_equal(alive, 0);
    return rc;
}

static void run_each(calm_fn *fn, const char *name)
{
    program = fn;
    size_t asked = 1;
    int failed = 0;
    for (size_t nth = 1; nth <= asked && nth < 5000; nth++) {
        alive = 0;
        calm__fault_arm(name, nth);
        int rc = run_virtual(run_program, NULL);
        asked = calm__fault_disarm();
        /* A backend has fault points of its own. */
        if (!check(rc == 0 || rc == -ENOMEM || (!name && rc == -EMFILE)))
            fprintf(stderr, "'%s' number %zu gave %s: %s\n",
                name ? name : "any", nth, calm_code_name(rc), calm_message(rc));
        failed += rc != 0;
        calm_error_clear();
    }
    alive = 0;
    check_equal(run_virtual(run_program, NULL), 0);
    if (name && strcmp(name, "spawn") == 0)
        check(failed > 0); /* a loop that cannot fail tests nothing */
}

static int each_question_fails_once(void *arg)
{
    static const char *const names[] = {
        "memory", "spawn", "stack", "guard", NULL};
    static calm_fn *const programs[] = {group_of_sleepers, tree_of_groups,
        gathers, maps, awaits, waits, begin_fails_and_end_is_due, channels,
        names_and_locals, timeouts, failures_go_up, retries, pipelines, posts};
    for (size_t p = 0; p < sizeof programs / sizeof *programs; p++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            run_each(programs[p], names[n]);
    return 0;
}

static int argument_of_a_refused_spawn_is_the_callers(void *arg)
{
    run_each(arguments_are_freed, "memory");
    run_each(arguments_are_freed, "spawn");
    return 0;
}

/* ---- the fault points themselves ---- */

static int only_the_nth_question_of_a_name_fails(void *arg)
{
    check(!calm__fault("memory"));
    calm__fault_arm("memory", 2);
    check(!calm__fault("stack"));
    check(!calm__fault("memory"));
    check(calm__fault("memory"));
    check(!calm__fault("memory"));
    check_equal(calm__fault_disarm(), 3);
    calm__fault_arm(NULL, 2);
    check(!calm__fault("stack"));
    check(calm__fault("memory"));
    check_equal(calm__fault_disarm(), 2);
    check(!calm__fault("memory"));
    return 0;
}

static int allocator_has_a_fault_point(void *arg)
{
    calm__fault_arm("memory", 1);
    check(calm__alloc(8) == NULL);
    void *memory = calm__alloc(8);
    calm__fault_disarm();
    check(memory != NULL);
    calm__fault_arm("memory", 1);
    check(calm__realloc(memory, 16) == NULL);
    calm__fault_disarm();
    free(calm__realloc(memory, 16));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(only_the_nth_question_of_a_name_fails),
        pure_test(allocator_has_a_fault_point),
        plain_test(each_question_fails_once),
        plain_test(argument_of_a_refused_spawn_is_the_callers),
    };
    return run_list("fault", tests, sizeof tests / sizeof *tests);
}
