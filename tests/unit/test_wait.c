/* test_wait.c - the first, the first failed, all, each as it completes */
#include "test.h"

enum { COUNT = 5 };

static calm_group group;
static calm_task *tasks[COUNT];

static int sleep_then_fail(void *arg)
{
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = sleep_ms(arg);
    calm_shield_end(&shield);
    return rc < 0 ? rc : -EIO;
}

/* Tasks that end after 50, 40, ... 10 ms; number FAILS (from 0) fails. */
static void tasks_begin(int fails)
{
    calm_group_begin(&group);
    for (int i = 0; i < COUNT; i++)
        tasks[i] = calm_spawn(&group, i == fails ? sleep_then_fail : sleep_ms,
            number(10 * (COUNT - i)));
}

static int wait_for_all(void *arg)
{
    int64_t start = calm_now();
    tasks_begin(-1);
    check_equal(calm_wait(tasks, COUNT, CALM_ALL), COUNT);
    check_equal(ms_since(start), 50);
    check_equal(calm_wait(tasks, COUNT, CALM_ALL), COUNT);
    check_equal(calm_task_result(tasks[0]), 0); /* the names stay good */
    return calm_group_end(&group, 0);
}

static int wait_for_the_first(void *arg)
{
    int64_t start = calm_now();
    tasks_begin(-1);
    for (int i = 1; i <= 2; i++) {
        check_equal(calm_wait(tasks, COUNT, CALM_FIRST_COMPLETED), 1);
        check_equal(ms_since(start), 10);
    }
    check_equal(calm_wait(tasks, COUNT - 1, CALM_FIRST_COMPLETED), 1);
    check_equal(ms_since(start), 20);
    return calm_group_end(&group, 0);
}

static int wait_in_a_shield(int count, enum calm_wait_for what)
{
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = calm_wait(tasks, (size_t)count, what);
    calm_shield_end(&shield);
    return rc;
}

static int wait_for_the_first_failed(void *arg)
{
    int64_t start = calm_now();
    tasks_begin(2);
    check_equal(wait_in_a_shield(COUNT, CALM_FIRST_FAILED), 3);
    check_equal(ms_since(start), 30);
    check_equal(calm_group_end(&group, 0), -EIO);
    calm_error_clear();
    tasks_begin(-1);
    check_equal(calm_wait(tasks, COUNT, CALM_FIRST_FAILED), COUNT);
    return calm_group_end(&group, 0);
}

static int wait_for_nothing_returns_at_once(void *arg)
{
    static calm_task *none[2];
    check_equal(calm_wait(NULL, 0, CALM_ALL), 0);
    check_equal(calm_wait(NULL, 0, CALM_FIRST_COMPLETED), 0);
    check_equal(calm_wait(none, 2, CALM_FIRST_FAILED), 2);
    check_equal(calm_wait(none, 2, CALM_FIRST_COMPLETED), 2);
    return 0;
}

static int wait_cancels_nothing(void *arg)
{
    int64_t start = calm_now();
    tasks_begin(-1);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 25 * CALM_MS);
    int rc = calm_wait(tasks, COUNT, CALM_ALL);
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(ms_since(start), 25);
    check_equal(calm_group_size(&group), 3);
    check_equal(calm_wait(tasks, COUNT, CALM_ALL), COUNT);
    check_equal(ms_since(start), 50);
    return calm_group_end(&group, 0);
}

static int wait_names_one_task_twice(void *arg)
{
    tasks_begin(-1);
    calm_task *twice[3] = {tasks[4], tasks[4], tasks[3]};
    check_equal(calm_wait(twice, 3, CALM_FIRST_COMPLETED), 2);
    check_equal(calm_wait(twice, 3, CALM_ALL), 3);
    return calm_group_end(&group, 0);
}

/* ---- as completed ---- */

static int each_comes_in_the_order_of_completion(void *arg)
{
    int64_t start = calm_now();
    tasks_begin(-1);
    calm_as_completed iterator;
    calm_task *task;
    int rc = calm_as_completed_begin(&iterator, tasks, COUNT);
    int next = COUNT;
    while (rc >= 0 && (rc = calm_as_completed_next(&iterator, &task)) > 0) {
        check(task == tasks[--next]);
        check(calm_task_done(task));
        check_equal(ms_since(start), 10 * (COUNT - next));
    }
    check_equal(rc, 0);
    check_equal(next, 0);
    check_equal(calm_as_completed_next(&iterator, &task), 0);
    calm_as_completed_end(&iterator);
    return calm_group_end(&group, 0);
}

static int timeout_midway_has_given_the_finished_first(void *arg)
{
    tasks_begin(-1);
    calm_as_completed iterator;
    calm_task *task;
    check_equal(calm_as_completed_begin(&iterator, tasks, COUNT), 0);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 35 * CALM_MS);
    int rc, given = 0;
    while ((rc = calm_as_completed_next(&iterator, &task)) > 0)
        given++;
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(given, 3);
    /* What ends later is not lost. */
    while (calm_as_completed_next(&iterator, &task) > 0)
        given++;
    check_equal(given, COUNT);
    calm_as_completed_end(&iterator);
    return calm_group_end(&group, 0);
}

static int ended_ones_come_first_in_their_order(void *arg)
{
    tasks_begin(-1);
    calm_sleep(35 * CALM_MS);
    calm_task *mixed[COUNT + 1] = {
        tasks[0], tasks[3], NULL, tasks[2], tasks[4], tasks[1]};
    static const int expected[] = {1, 2, 3, 4, 5, 0};
    calm_as_completed iterator;
    calm_task *task;
    check_equal(calm_as_completed_begin(&iterator, mixed, COUNT + 1), 0);
    for (int i = 0; i < COUNT + 1; i++) {
        check_equal(calm_as_completed_next(&iterator, &task), 1);
        check(task == mixed[expected[i]]);
    }
    check_equal(calm_as_completed_next(&iterator, &task), 0);
    calm_as_completed_end(&iterator);
    return calm_group_end(&group, 0);
}

static int iteration_may_be_left_early(void *arg)
{
    tasks_begin(-1);
    calm_as_completed iterator;
    calm_task *task;
    check_equal(calm_as_completed_begin(&iterator, tasks, COUNT), 0);
    check_equal(calm_as_completed_next(&iterator, &task), 1);
    int result = 1;
    check_equal(calm_await(task, &result), 0); /* its name may go now */
    calm_as_completed_end(&iterator);
    return calm_group_end(&group, 0);
}

static int awaiting_what_is_watched_tells_both(void *arg)
{
    tasks_begin(-1);
    calm_as_completed iterator;
    calm_task *task;
    check_equal(calm_as_completed_begin(&iterator, tasks, 1), 0);
    int result = 1;
    check_equal(calm_await(tasks[0], &result), 0);
    check_equal(result, 0);
    check_equal(calm_as_completed_next(&iterator, &task), 1);
    calm_as_completed_end(&iterator);
    return calm_group_end(&group, 0);
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(wait_for_all),
        virtual_test(wait_for_the_first),
        virtual_test(wait_for_the_first_failed),
        virtual_test(wait_for_nothing_returns_at_once),
        virtual_test(wait_cancels_nothing),
        virtual_test(wait_names_one_task_twice),
        virtual_test(each_comes_in_the_order_of_completion),
        virtual_test(timeout_midway_has_given_the_finished_first),
        virtual_test(ended_ones_come_first_in_their_order),
        virtual_test(iteration_may_be_left_early),
        virtual_test(awaiting_what_is_watched_tells_both),
    };
    return run_list("wait", tests, sizeof tests / sizeof *tests);
}
