/* test_pipeline.c - what goes in comes out, or is dropped, exactly once */
#include "test.h"

enum { MOST = 1000 };

struct item {
    int number;
    int steps;
    int failed_at; /* the stage that fails it, from 1; 0: none */
    bool given, sunk, dropped;
};

struct work {
    struct item items[MOST];
    int count, taken, sunk, dropped, out_of_order, last;
    int source_ms, stage_ms, sink_ms;
    int source_fails_at, sink_fails_at; /* number of the item, or -1 */
    int inside, most;
    int wrong;
};

static struct work work;

static void work_init(int count)
{
    work = (struct work){
        .count = count, .last = -1, .source_fails_at = -1, .sink_fails_at = -1};
    for (int i = 0; i < count; i++)
        work.items[i].number = i;
}

static int pause_ms(int ms)
{
    return ms ? calm_sleep(ms * CALM_MS) : 0;
}

static int source(void **ret_item, void *ctx)
{
    int rc = pause_ms(work.source_ms);
    if (rc < 0)
        return rc;
    if (work.taken == work.source_fails_at)
        return calm_fail(-EPROTO, "the source broke");
    if (work.taken == work.count)
        return 0;
    struct item *item = &work.items[work.taken++];
    item->given = true;
    *ret_item = item;
    return 1;
}

static int stage(void *arg, void *ctx)
{
    struct item *item = arg;
    work.wrong += item->sunk || item->dropped;
    if (++work.inside > work.most)
        work.most = work.inside;
    int rc = pause_ms(work.stage_ms ? 1 + item->number % work.stage_ms : 0);
    work.inside--;
    if (rc < 0)
        return rc;
    item->steps++;
    if (item->steps == item->failed_at)
        return calm_fail(-EINVAL, "item %d is bad", item->number);
    return item->steps;
}

/* On a thread: nothing but the item. */
static int stage_elsewhere(void *arg, void *ctx)
{
    struct item *item = arg;
    item->steps++;
    return item->steps == item->failed_at
               ? calm_fail(-EINVAL, "item %d is bad", item->number)
               : item->steps;
}

static int sink(void *arg, int code, void *ctx)
{
    struct item *item = arg;
    int rc = pause_ms(work.sink_ms);
    if (rc < 0)
        return rc;
    if (item->number == work.sink_fails_at)
        return calm_fail(-ENOSPC, "the sink broke");
    work.wrong += item->sunk || item->dropped || !item->given;
    item->sunk = true;
    work.sunk++;
    work.out_of_order += item->number != work.last + 1;
    work.last = item->number;
    if (item->failed_at) {
        char expected[32];
        snprintf(expected, sizeof expected, "item %d is bad", item->number);
        check_equal(code, -EINVAL);
        if (work.sink_ms == 0)
            check_text(calm_message(code), expected);
    } else {
        check(code >= 0);
    }
    return 0;
}

static void drop(void *arg, void *ctx)
{
    struct item *item = arg;
    work.wrong += item->sunk || item->dropped || !item->given;
    item->dropped = true;
    work.dropped++;
}

/* Each item that was taken came out or was dropped, and no other. */
static void nothing_is_lost(const calm_pipeline *pipeline)
{
    check_equal(work.wrong, 0);
    check_equal(work.sunk + work.dropped, work.taken);
    check_equal(pipeline->counts.items, work.taken);
    check_equal(pipeline->counts.done, work.sunk);
    check_equal(pipeline->counts.in_flight, work.taken - work.sunk);
}

static const calm_stage two_stages[] = {
    {.name = "first", .fn = stage, .concurrency = 3},
    {.name = "second", .fn = stage, .concurrency = 2, .queue = 5},
};

static calm_pipeline of_stages(const calm_stage *stages, size_t count)
{
    return (calm_pipeline){.source = source,
        .stages = stages,
        .stage_count = count,
        .sink = sink,
        .drop = drop};
}

static int items_come_out_in_order(void *arg)
{
    static const calm_stage stages[] = {
        {.fn = stage, .concurrency = 7},
        {.fn = stage_elsewhere, .where = CALM_ON_CPU, .concurrency = 2},
        {.fn = stage_elsewhere, .where = CALM_ON_BLOCKING, .concurrency = 3},
        {.fn = stage},
    };
    for (size_t count = 0; count <= 4; count++) {
        work_init(200);
        work.stage_ms = 20;
        calm_pipeline pipeline = of_stages(stages, count);
        check_equal(calm_pipeline_run(&pipeline), 0);
        nothing_is_lost(&pipeline);
        check_equal(work.sunk, 200);
        check_equal(work.out_of_order, 0);
        for (int i = 0; i < 200; i++)
            check_equal(work.items[i].steps, count);
    }
    return 0;
}

static int unordered_items_all_come_out(void *arg)
{
    work_init(200);
    work.stage_ms = 20;
    calm_pipeline pipeline = of_stages(two_stages, 2);
    pipeline.unordered = true;
    check_equal(calm_pipeline_run(&pipeline), 0);
    nothing_is_lost(&pipeline);
    check_equal(work.sunk, 200);
    check(work.out_of_order > 0);
    return 0;
}

static int failed_items_skip_the_stages_behind(void *arg)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        work_init(100);
        work.stage_ms = 5;
        for (int i = 0; i < 100; i += 7)
            work.items[i].failed_at = 1 + i % 2;
        calm_pipeline pipeline = of_stages(two_stages, 2);
        pipeline.unordered = unordered;
        check_equal(calm_pipeline_run(&pipeline), 0);
        nothing_is_lost(&pipeline);
        check_equal(work.sunk, 100);
        check_equal(pipeline.counts.failed, 15);
        for (int i = 0; i < 100; i++)
            check_equal(work.items[i].steps,
                work.items[i].failed_at ? work.items[i].failed_at : 2);
    }
    return 0;
}

static int stages_stream_with_their_concurrency(void *arg)
{
    static const calm_stage stages[] = {{.fn = stage, .concurrency = 4}};
    work_init(40);
    work.stage_ms = 1;
    int64_t start = calm_now();
    calm_pipeline pipeline = of_stages(stages, 1);
    check_equal(calm_pipeline_run(&pipeline), 0);
    nothing_is_lost(&pipeline);
    check_equal(work.most, 4);
    check_equal(ms_since(start), 10);
    return 0;
}

static int in_flight_is_the_bound(void *arg)
{
    for (size_t bound = 1; bound < 6; bound++) {
        work_init(50);
        work.stage_ms = 3;
        calm_pipeline pipeline = of_stages(two_stages, 2);
        pipeline.in_flight = bound;
        check_equal(calm_pipeline_run(&pipeline), 0);
        nothing_is_lost(&pipeline);
        check(work.most <= (int)bound);
        check_equal(work.sunk, 50);
        check_equal(work.out_of_order, 0);
    }
    return 0;
}

/* ---- ends before the end ---- */

static int failure_of_the_source_ends_the_run(void *arg)
{
    work_init(100);
    work.stage_ms = 5;
    work.source_fails_at = 20;
    calm_pipeline pipeline = of_stages(two_stages, 2);
    check_equal(calm_pipeline_run(&pipeline), -EPROTO);
    check_text(calm_message(-EPROTO), "the source broke");
    nothing_is_lost(&pipeline);
    check_equal(work.taken, 20);
    calm_error_clear();
    return 0;
}

static int failure_of_the_sink_ends_the_run(void *arg)
{
    for (int in_flight = 0; in_flight <= 100; in_flight += 10) {
        for (int ms = 0; ms < 60; ms += 20) {
            work_init(200);
            work.stage_ms = ms;
            work.sink_fails_at = 10;
            calm_pipeline pipeline = of_stages(two_stages, 2);
            pipeline.in_flight = (size_t)in_flight;
            check_equal(calm_pipeline_run(&pipeline), -ENOSPC);
            check_text(calm_message(-ENOSPC), "the sink broke");
            nothing_is_lost(&pipeline);
            check_equal(work.sunk, 10);
            calm_error_clear();
        }
    }
    return 0;
}

/* The first queue is full and the source waits to put into it. */
static int source_that_waits_for_room_ends_too(void *arg)
{
    static const calm_stage stages[] = {
        {.fn = stage, .queue = 1}, {.fn = stage, .concurrency = 50}};
    for (int drain = 0; drain < 2; drain++) {
        work_init(200);
        work.stage_ms = 100;
        calm_pipeline pipeline = of_stages(stages, 2);
        pipeline.drain = drain * CALM_MS;
        calm_timeout timeout;
        calm_timeout_begin(&timeout, CALM_S);
        int rc = calm_pipeline_run(&pipeline);
        check_equal(rc, -ECANCELED);
        check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
        nothing_is_lost(&pipeline);
    }
    return 0;
}

static int cancel_drains_what_is_in_flight(void *arg)
{
    work_init(1000);
    work.stage_ms = 10;
    work.source_ms = 1;
    int64_t start = calm_now();
    calm_pipeline pipeline = of_stages(two_stages, 2);
    pipeline.drain = 10 * CALM_S;
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 100 * CALM_MS);
    int rc = calm_pipeline_run(&pipeline);
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    nothing_is_lost(&pipeline);
    check_equal(work.dropped, 0);
    check(work.taken > 10 && work.taken <= 101);
    check(ms_since(start) < 300);
    return 0;
}

static int cancel_at_any_time_with_any_drain(void *arg)
{
    for (int at = 0; at < 60; at += 3) {
        for (int drain = 0; drain < 100; drain += 9) {
            work_init(100);
            work.stage_ms = 15;
            work.source_ms = at % 2;
            work.sink_ms = at % 5;
            int64_t start = calm_now();
            calm_pipeline pipeline = of_stages(two_stages, 2);
            pipeline.drain = drain * CALM_MS;
            pipeline.in_flight = (size_t)(at % 4 * 10);
            calm_timeout timeout;
            calm_timeout_begin(&timeout, at * CALM_MS);
            int rc = calm_timeout_end(&timeout, calm_pipeline_run(&pipeline));
            check_equal(rc, -ETIMEDOUT);
            if (at > 0)
                nothing_is_lost(&pipeline);
            check(ms_since(start) <= at + drain);
        }
    }
    return 0;
}

static int without_a_drop_items_are_forgotten(void *arg)
{
    work_init(100);
    work.stage_ms = 10;
    calm_pipeline pipeline = of_stages(two_stages, 2);
    pipeline.drop = NULL;
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 20 * CALM_MS);
    int rc = calm_pipeline_run(&pipeline);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(work.dropped, 0);
    pipeline.sink = NULL;
    work_init(10);
    check_equal(calm_pipeline_run(&pipeline), 0);
    check_equal(pipeline.counts.done, 10);
    return 0;
}

static int senseless_pipelines_are_refused(void *arg)
{
    calm_pipeline pipeline = {.stage_count = 0};
    check_equal(calm_pipeline_run(&pipeline), -EINVAL);
    pipeline = of_stages(NULL, 0);
    pipeline.drain = -1;
    check_equal(calm_pipeline_run(&pipeline), -EINVAL);
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(items_come_out_in_order),
        virtual_test(unordered_items_all_come_out),
        virtual_test(failed_items_skip_the_stages_behind),
        virtual_test(stages_stream_with_their_concurrency),
        virtual_test(in_flight_is_the_bound),
        virtual_test(failure_of_the_source_ends_the_run),
        virtual_test(failure_of_the_sink_ends_the_run),
        virtual_test(source_that_waits_for_room_ends_too),
        virtual_test(cancel_drains_what_is_in_flight),
        virtual_test(cancel_at_any_time_with_any_drain),
        virtual_test(without_a_drop_items_are_forgotten),
        virtual_test(senseless_pipelines_are_refused),
    };
    return run_list("pipeline", tests, sizeof tests / sizeof *tests);
}
