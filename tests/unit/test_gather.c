/* test_gather.c - many tasks as one call: argument order, fail fast, limits */
#include "test.h"

struct item {
    int ms;
    int code;
    int *running, *most, *ended;
    bool cancelled;
    const char *name;
};

static int process(void *arg)
{
    struct item *item = arg;
    if (item->running && ++*item->running > *item->most)
        *item->most = *item->running;
    int rc = calm_sleep(item->ms * CALM_MS);
    item->cancelled = rc == -ECANCELED;
    if (item->running)
        --*item->running;
    if (item->ended)
        ++*item->ended;
    if (rc < 0)
        return rc;
    return item->code < 0 ? calm_fail(item->code, "item of %d ms", item->ms)
                          : item->code;
}

static int empty_gather_returns_at_once(void *arg)
{
    int64_t start = calm_now();
    calm_result result = {77, "untouched"};
    check_equal(calm_gather(NULL, 0, NULL), 0);
    check_equal(calm_gather(NULL, 0, &result), 0);
    check_equal(calm_map(process, NULL, 0, 8, NULL), 0);
    check_equal(calm_map(process, NULL, 0, 8,
                    &(calm_map_opts){.limit = 3, .results = &result}),
        0);
    check_equal(result.code, 77);
    check_equal(calm_now(), start);
    return 0;
}

static int results_are_in_argument_order(void *arg)
{
    int64_t start = calm_now();
    struct item items[10];
    calm_call calls[10];
    calm_result results[10];
    for (int i = 0; i < 10; i++) {
        items[i] = (struct item){.ms = 100 - 10 * i, .code = i};
        calls[i] = (calm_call){process, &items[i]};
    }
    check_equal(calm_gather(calls, 10, results), 0);
    for (int i = 0; i < 10; i++) {
        check_equal(results[i].code, i);
        check_text(results[i].message, "");
    }
    check_equal(ms_since(start), 100);
    return 0;
}

static int without_results_the_first_error_cancels_the_rest(void *arg)
{
    int64_t start = calm_now();
    int ended = 0;
    struct item items[3] = {{.ms = 50, .ended = &ended},
        {.ms = 10, .code = -EIO, .ended = &ended},
        {.ms = 100, .ended = &ended}};
    calm_call calls[3] = {
        {process, &items[0]}, {process, &items[1]}, {process, &items[2]}};
    check_equal(calm_gather(calls, 3, NULL), -EIO);
    check_text(calm_message(-EIO), "item of 10 ms");
    check_equal(calm_error_count(), 1);
    check_equal(ended, 3);
    check(items[0].cancelled && items[2].cancelled);
    check_equal(ms_since(start), 10);
    check(!calm_cancelled());
    calm_error_clear();
    return 0;
}

static int with_results_all_finish(void *arg)
{
    int64_t start = calm_now();
    struct item items[3] = {
        {.ms = 50, .code = 1}, {.ms = 10, .code = -EIO}, {.ms = 20, .code = 2}};
    calm_call calls[4] = {{process, &items[0]}, {process, &items[1]},
        {process, &items[2]}, {return_number, number(-ENOSPC)}};
    calm_result results[4];
    check_equal(calm_gather(calls, 4, results), 0);
    check_equal(results[0].code, 1);
    check_equal(results[1].code, -EIO);
    check_text(results[1].message, "item of 10 ms");
    check_equal(results[2].code, 2);
    check_equal(results[3].code, -ENOSPC);
    check_text(results[3].message, "No space left on device");
    check_equal(ms_since(start), 50);
    check_equal(calm_error_count(), 0);
    return 0;
}

static int cancel_itself(void *arg)
{
    calm_cancel(calm_self());
    return calm_sleep(CALM_S);
}

static int cancelled_child_is_a_value_with_results_only(void *arg)
{
    calm_call calls[2] = {{cancel_itself, NULL}, {sleep_ms, number(10)}};
    calm_result results[2];
    check_equal(calm_gather(calls, 2, results), 0);
    check_equal(results[0].code, -ECANCELED);
    check_text(results[0].message, "Operation canceled");
    check_equal(results[1].code, 0);
    int64_t start = calm_now();
    check_equal(calm_gather(calls, 2, NULL), -ECANCELED);
    check_equal(ms_since(start), 0);
    check(!calm_cancelled());
    calm_error_clear();
    return 0;
}

static int long_messages_are_cut_to_fit(void *arg)
{
    char text[400];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    calm_call calls[1] = {{fail_saying, text}};
    calm_result result;
    check_equal(calm_gather(calls, 1, &result), 0);
    check_equal(strlen(result.message), sizeof result.message - 1);
    check_equal(calm_gather(calls, 1, NULL), -EIO);
    check_text(calm_message(-EIO), text);
    calm_error_clear();
    return 0;
}

static int gather_in_a_timeout(void *arg)
{
    struct item items[3] = {{.ms = 10}, {.ms = 2000}, {.ms = 3000}};
    calm_call calls[3] = {
        {process, &items[0]}, {process, &items[1]}, {process, &items[2]}};
    calm_result results[3];
    for (int with = 0; with < 2; with++) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, 100 * CALM_MS);
        int rc = calm_gather(calls, 3, with ? results : NULL);
        check_equal(rc, -ECANCELED);
        check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
        check(!items[0].cancelled && items[1].cancelled && items[2].cancelled);
    }
    check_equal(results[0].code, 0);
    check_equal(results[1].code, -ECANCELED);
    return 0;
}

static int gather_when_cancelled_starts_nothing(void *arg)
{
    calm_call calls[2] = {{return_number, NULL}, {return_number, NULL}};
    calm_result results[2] = {{5, ""}, {5, ""}};
    int items[2] = {0};
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 0);
    check_equal(calm_gather(calls, 2, NULL), -ECANCELED);
    check_equal(calm_gather(calls, 2, results), -ECANCELED);
    check_equal(results[1].code, -ECANCELED);
    results[1].code = 5;
    check_equal(calm_map(return_number, items, 2, sizeof *items,
                    &(calm_map_opts){.results = results}),
        -ECANCELED);
    check_equal(results[1].code, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);
    return 0;
}

/* ---- map ---- */

static void items_init(struct item *items, int count, int *running, int *most)
{
    *running = *most = 0;
    for (int i = 0; i < count; i++)
        items[i] = (struct item){
            .ms = 1 + i % 7, .code = i, .running = running, .most = most};
}

static int map_keeps_its_limit_and_its_order(void *arg)
{
    enum { COUNT = 300 };
    static struct item items[COUNT];
    static calm_result results[COUNT];
    static const size_t limits[] = {0, 1, 2, 7, 299, 300, 301, 100000};
    int running, most;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int limit = limits[i] && limits[i] < COUNT ? (int)limits[i] : COUNT;
        items_init(items, COUNT, &running, &most);
        check_equal(calm_map(process, items, COUNT, sizeof *items,
                        &(calm_map_opts){limits[i], results}),
            0);
        check_equal(most, limit < 300 ? limit : most);
        check_equal(running, 0);
        for (int k = 0; k < COUNT; k++)
            check_equal(results[k].code, k);
        items_init(items, COUNT, &running, &most);
        check_equal(calm_map(process, items, COUNT, sizeof *items,
                        &(calm_map_opts){.limit = limits[i]}),
            0);
        check_equal(running, 0);
    }
    return 0;
}

static int map_fails_fast_with_a_limit(void *arg)
{
    struct item items[100];
    int running, most, ended = 0;
    items_init(items, 100, &running, &most);
    for (int i = 0; i < 100; i++)
        items[i].ended = &ended;
    items[10].code = -EPROTO;
    int rc = calm_map(
        process, items, 100, sizeof *items, &(calm_map_opts){.limit = 4});
    check_equal(rc, -EPROTO);
    check_contains(calm_message(rc), "item of ");
    check_equal(running, 0);
    check(ended < 20);
    calm_error_clear();
    return 0;
}

static int map_with_results_goes_on_after_failures(void *arg)
{
    struct item items[50];
    calm_result results[50];
    int running, most;
    for (size_t limit = 0; limit < 5; limit += 2) {
        items_init(items, 50, &running, &most);
        for (int i = 0; i < 50; i += 3)
            items[i].code = -100 - i;
        check_equal(calm_map(process, items, 50, sizeof *items,
                        &(calm_map_opts){limit, results}),
            0);
        for (int i = 0; i < 50; i++)
            check_equal(results[i].code, i % 3 ? i : -100 - i);
        check_contains(results[3].message, "item of");
        check_text(results[4].message, "");
        check_equal(calm_error_count(), 0);
    }
    return 0;
}

static int cancelled_map_marks_what_it_has_not_started(void *arg)
{
    struct item items[20];
    calm_result results[20];
    int running, most, ended = 0;
    items_init(items, 20, &running, &most);
    for (int i = 0; i < 20; i++) {
        items[i].ms = 10;
        items[i].ended = &ended;
    }
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 25 * CALM_MS);
    int rc = calm_map(
        process, items, 20, sizeof *items, &(calm_map_opts){3, results});
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(ended, 9);
    for (int i = 0; i < 20; i++)
        check_equal(results[i].code, i < 6 ? i : -ECANCELED);
    return 0;
}

static int count_and_fail_or_wait(void *arg)
{
    int *count = *(int **)arg;
    ++*count;
    return calm_fail(-EIO, "each fails");
}

static int failing_calls_of_a_large_gather_are_not_all_started(void *arg)
{
    int count = 0, *items[1000];
    for (int i = 0; i < 1000; i++)
        items[i] = &count;
    check_equal(
        calm_map(count_and_fail_or_wait, items, 1000, sizeof *items, NULL),
        -EIO);
    check(count < 200);
    check_equal(calm_error_count(), count);
    calm_error_clear();
    return 0;
}

static calm_local key;

static int item_sees_the_values_of_the_caller(void *arg)
{
    int *value = calm_local_get(&key);
    bool seen = value && *value == 5;
    calm_local_set(&key, NULL); /* must not reach the next item */
    check(strncmp(calm_task_name(calm_self()), "task", 4) == 0);
    calm_name("renamed");
    return seen ? 0 : -EINVAL;
}

static int items_begin_with_the_locals_of_the_caller(void *arg)
{
    int value = 5, items[40];
    calm_local_set(&key, &value);
    for (size_t limit = 0; limit < 4; limit++)
        check_equal(calm_map(item_sees_the_values_of_the_caller, items, 40,
                        sizeof *items, &(calm_map_opts){.limit = limit}),
            0);
    calm_error_clear();
    return 0;
}

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int million_items_with_a_limit(void *arg)
{
    size_t count = test_sanitized ? 100000 : 1000000;
    int *items = calloc(count, sizeof *items);
    check_equal(calm_map(add_one, items, count, sizeof *items,
                    &(calm_map_opts){.limit = 256}),
        0);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += items[i] != 1;
    check_equal(wrong, 0);
    free(items);
    return 0;
}

static int no_call(void *arg)
{
    check(!"called");
    return 0;
}

static int outside_of_a_task_the_reason_is_told(void *arg)
{
    calm_call call = {no_call, NULL};
    calm_result result;
    check_equal(calm_gather(&call, 1, NULL), -EPERM);
    check_contains(calm_message(-EPERM), "outside a task");
    calm_error_clear();
    check_equal(calm_gather(&call, 1, &result), -EPERM);
    check_contains(calm_message(-EPERM), "outside a task");
    check_equal(result.code, -ECANCELED);
    calm_error_clear();
    int item = 0;
    check_equal(calm_map(no_call, &item, 1, sizeof item, NULL), -EPERM);
    check_contains(calm_message(-EPERM), "outside a task");
    calm_error_clear();
    return 0;
}

static int cancel_its_worker(void *arg)
{
    calm_cancel(calm_self());
    return calm_sleep(CALM_S);
}

/* Its worker ends with it, and what it has not taken was not started: that is
 * no lack of memory. */
static int item_of_a_map_may_cancel_itself(void *arg)
{
    char items[3];
    calm_result results[3];
    check_equal(calm_map(cancel_its_worker, items, 3, 1,
                    &(calm_map_opts){.limit = 1, .results = results}),
        0);
    for (int i = 0; i < 3; i++)
        check_equal(results[i].code, -ECANCELED);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        plain_test(outside_of_a_task_the_reason_is_told),
        virtual_test(empty_gather_returns_at_once),
        virtual_test(results_are_in_argument_order),
        virtual_test(without_results_the_first_error_cancels_the_rest),
        virtual_test(with_results_all_finish),
        virtual_test(cancelled_child_is_a_value_with_results_only),
        virtual_test(long_messages_are_cut_to_fit),
        virtual_test(gather_in_a_timeout),
        virtual_test(gather_when_cancelled_starts_nothing),
        virtual_test(map_keeps_its_limit_and_its_order),
        virtual_test(map_fails_fast_with_a_limit),
        virtual_test(map_with_results_goes_on_after_failures),
        virtual_test(cancelled_map_marks_what_it_has_not_started),
        virtual_test(item_of_a_map_may_cancel_itself),
        virtual_test(failing_calls_of_a_large_gather_are_not_all_started),
        virtual_test(items_begin_with_the_locals_of_the_caller),
        virtual_test(million_items_with_a_limit),
    };
    return run_list("gather", tests, sizeof tests / sizeof *tests);
}
