/* test_task.c - spawn, await, cancel, names that are given up */
#include "test.h"

#include "core/sched.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- cancel ---- */

struct seen {
    int first, second, third;
    int64_t ended;
    bool freed;
};

static int sleep_ten_seconds(void *arg)
{
    struct seen *seen = arg;
    seen->first = calm_sleep(10 * CALM_S);
    seen->ended = calm_now();
    return seen->first;
}

static int cancelled_sleeper_returns_at_once(void *arg)
{
    int64_t start = calm_now();
    struct seen seen = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_ten_seconds, &seen);
    check_equal(calm_sleep(100 * CALM_MS), 0);
    calm_cancel(task);
    int result = 1;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(ms_since(start), 100);
    return calm_group_end(&group, 0);
}

static int run_ends_with_the_cancelled_sleeper_of(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_ms, number(10000));
    calm_sleep(100 * CALM_MS);
    calm_cancel(task);
    *(int64_t *)arg = calm_now();
    int rc = calm_group_end(&group, 0);
    *(int64_t *)arg = calm_now() - *(int64_t *)arg;
    return rc;
}

static int timer_of_a_cancelled_sleeper_is_gone(void *arg)
{
    int64_t elapsed = -1;
    check_equal(
        run_virtual(run_ends_with_the_cancelled_sleeper_of, &elapsed), 0);
    check_equal(elapsed, 0);
    return 0;
}

static int free_argument(void *arg)
{
    struct seen *seen = *(struct seen **)arg;
    free(arg);
    seen->freed = true;
    seen->first = calm_sleep(0);
    seen->second = calm_checkpoint();
    return seen->first;
}

static int cancelled_before_its_first_step_starts_and_frees(void *arg)
{
    struct seen seen = {0}, **owned = malloc(sizeof *owned);
    *owned = &seen;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, free_argument, owned);
    calm_cancel(task);
    int result = 0;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check(seen.freed);
    check_equal(seen.first, -ECANCELED);
    check_equal(seen.second, -ECANCELED);
    return calm_group_end(&group, 0);
}

static int call_three_times(void *arg)
{
    struct seen *seen = arg;
    calm_mutex mutex = {0};
    seen->first = calm_sleep(CALM_S);
    seen->second = calm_mutex_lock(&mutex);
    seen->third = calm_checkpoint();
    check(mutex.owner == NULL);
    return 42;
}

static int every_call_after_one_cancel_fails(void *arg)
{
    struct seen seen = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, call_three_times, &seen);
    calm_checkpoint();
    calm_cancel(task);
    int result = 0;
    check_equal(calm_await(task, &result), 0);
    check_equal(seen.first, -ECANCELED);
    check_equal(seen.second, -ECANCELED);
    check_equal(seen.third, -ECANCELED);
    check_equal(result, 42);
    return calm_group_end(&group, 0);
}

static int cancelling_itself_is_seen_at_the_next_call(void *arg)
{
    calm_timeout timeout; /* keeps the cancel out of the test's own end */
    calm_timeout_begin(&timeout, CALM_FOREVER);
    check(!calm_cancelled());
    calm_cancel(calm_self());
    check(calm_cancelled());
    check_equal(calm_sleep(1), -ECANCELED);
    check_equal(calm_timeout_end(&timeout, -ECANCELED), -ECANCELED);
    return 0;
}

static int cancel_of_null_and_of_the_ended_does_nothing(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, return_number, number(7));
    calm_checkpoint();
    check(calm_task_done(task));
    calm_cancel(task);
    calm_cancel(NULL);
    check_equal(calm_task_result(task), 7);
    return calm_group_end(&group, 0);
}

static int cancel_after_completion_in_the_same_tick_completion_wins(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_event event = {0};
    calm_task *task = calm_spawn(&group, (calm_fn *)calm_event_wait, &event);
    calm_checkpoint();
    calm_event_set(&event);
    calm_cancel(task);
    int result = 1;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, 0);
    return calm_group_end(&group, 0);
}

/* ---- await ---- */

struct child {
    calm_task *task;
    int rc, result;
    int order;
};

static int orders;

static int clean_up_slowly(void *arg)
{
    struct seen *seen = arg;
    seen->first = calm_sleep(CALM_S);
    calm_shield shield;
    calm_shield_begin(&shield);
    seen->second = calm_sleep(50 * CALM_MS);
    calm_shield_end(&shield);
    seen->ended = calm_now();
    return 9;
}

static int await_child(void *arg)
{
    struct child *child = arg;
    child->rc = calm_await(child->task, &child->result);
    child->order = ++orders;
    return child->rc;
}

static int awaiter_cancelled_resumes_after_its_child_has_ended(void *arg)
{
    struct seen seen = {0};
    calm_group group;
    calm_group_begin(&group);
    struct child child = {calm_spawn(&group, clean_up_slowly, &seen)};
    calm_task *awaiter = calm_spawn(&group, await_child, &child);
    calm_sleep(10 * CALM_MS);
    int64_t start = calm_now();
    calm_cancel(awaiter);
    int result = 0;
    check_equal(calm_await(awaiter, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(child.rc, -ECANCELED);
    check_equal(child.result, 9);
    check_equal(seen.first, -ECANCELED);
    check_equal(seen.second, 0);
    check_equal(ms_since(start), 50);
    return calm_group_end(&group, 0);
}

static int await_in_a_timeout_cancels_the_child_and_times_out(void *arg)
{
    struct seen seen = {0};
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, clean_up_slowly, &seen);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 100 * CALM_MS);
    int result = 0;
    int rc = calm_await(task, &result);
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(result, 9);
    check_equal(ms_since(start), 150);
    return calm_group_end(&group, 0);
}

static int await_when_cancelled_still_delivers(void *arg)
{
    struct seen seen = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_task *running = calm_spawn(&group, clean_up_slowly, &seen);
    calm_task *ended = calm_spawn(&group, return_number, number(5));
    calm_checkpoint();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 0);
    int result = 0;
    check_equal(calm_await(ended, &result), -ECANCELED);
    check_equal(result, 5);
    int64_t start = calm_now();
    check_equal(calm_await(running, &result), -ECANCELED);
    check_equal(result, 9);
    check_equal(seen.first, -ECANCELED);
    check_equal(ms_since(start), 50);
    check_equal(calm_await(NULL, &result), -ECANCELED);
    check_equal(calm_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);
    return calm_group_end(&group, 0);
}

static int await_of_null_is_of_one_cancelled(void *arg)
{
    int result = 0;
    check_equal(calm_await(NULL, &result), 0);
    check_equal(result, -ECANCELED);
    check(calm_task_done(NULL));
    check_equal(calm_task_result(NULL), -ECANCELED);
    return 0;
}

static int await_of_itself_is_a_deadlock(void *arg)
{
    int result = 3;
    check_equal(calm_await(calm_self(), &result), -EDEADLK);
    check_equal(result, 3);
    check_text(calm_message(-EDEADLK), "a task cannot await itself");
    return 0;
}

static int fail_twice(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, fail_saying, "one");
    calm_spawn(&group, fail_saying, "two");
    return calm_group_end(&group, 0);
}

/* The sentences must not depend on whether the task had ended already. */
static int await_before_and_after_the_end_gives_the_same_errors(void *arg)
{
    for (int before = 0; before < 2; before++) {
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, fail_twice, NULL);
        calm_shield shield;
        calm_shield_begin(&shield);
        if (!before)
            calm_sleep(CALM_MS);
        int result = 0;
        check_equal(calm_await(task, &result), 0);
        calm_shield_end(&shield);
        check_equal(result, -EIO);
        check_equal(calm_error_count(), 2);
        const char *text = "";
        check_equal(calm_error_get(1, &text), -EIO);
        check_text(text, "two");
        check_text(calm_message(-EIO), "one");
        check_equal(calm_group_end(&group, 0), -EIO);
        check_equal(calm_error_count(), 2);
        calm_error_clear();
    }
    return 0;
}

static int two_awaiters_of_one_task_both_get_its_result(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_ms, number(10));
    struct child children[3] = {{task, 1, 1}, {task, 1, 1}, {task, 1, 1}};
    for (int i = 0; i < 3; i++)
        calm_spawn(&group, await_child, &children[i]);
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 3; i++) {
        check_equal(children[i].rc, 0);
        check_equal(children[i].result, 0);
    }
    return rc;
}

static int awaiters_go_on_in_the_order_in_which_they_came(void *arg)
{
    orders = 0;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_ms, number(10));
    struct child children[3] = {{task}, {task}, {task}};
    for (int i = 0; i < 3; i++)
        calm_spawn(&group, await_child, &children[i]);
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 3; i++)
        check_equal(children[i].order, i + 1);
    return rc;
}

static int one_of_two_awaiters_is_cancelled_both_get_the_end(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_ms, number(1000));
    struct child children[2] = {{task}, {task}};
    calm_task *first = calm_spawn(&group, await_child, &children[0]);
    calm_release(calm_spawn(&group, await_child, &children[1]));
    calm_sleep(CALM_MS);
    calm_cancel(first);
    int rc = calm_group_end(&group, 0);
    check_equal(children[0].rc, -ECANCELED);
    check_equal(children[0].result, -ECANCELED);
    check_equal(children[1].rc, 0);
    check_equal(children[1].result, -ECANCELED);
    return rc;
}

static int await_takes_the_sentence_along(void *arg)
{
    for (int before = 0; before < 2; before++) {
        calm_result result;
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, fail_saying, "no such thing");
        calm_shield shield;
        calm_shield_begin(&shield);
        if (!before)
            calm_checkpoint();
        check_equal(calm_await(task, &result.code), 0);
        check_equal(result.code, -EIO);
        check_text(calm_message(-EIO), "no such thing");
        calm_shield_end(&shield);
        check_equal(calm_group_end(&group, 0), -EIO);
        calm_error_clear();
    }
    return 0;
}

/* The slot of the thread is not the task's. */
static int await_plain_failure(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, return_number, number(-EIO));
    calm_shield shield;
    calm_shield_begin(&shield);
    int result = 0;
    check_equal(calm_await(task, &result), 0);
    check_text(calm_message(-EIO), "Input/output error");
    calm_shield_end(&shield);
    check_equal(calm_group_end(&group, 0), -EIO);
    check_text(calm_message(-EIO), "Input/output error");
    calm_call calls[] = {{return_number, number(-EIO)}};
    calm_result slot;
    check_equal(calm_gather(calls, 1, &slot), 0);
    check_text(slot.message, "Input/output error");
    return 0;
}

static int a_stale_sentence_of_the_thread_explains_no_task(void *arg)
{
    calm_fail(-EIO, "an older failure");
    return run_virtual(await_plain_failure, NULL);
}

/* ---- a chain of awaits ---- */

enum { CHAIN = 20000 };

static calm_task *chain[CHAIN];
static int chain_ended;

static int await_previous(void *arg)
{
    intptr_t index = (intptr_t)arg;
    int result;
    int rc = index ? calm_await(chain[index - 1], &result)
                   : calm_sleep(CALM_FOREVER);
    chain_ended++;
    return rc;
}

/* Each awaits the one before: cancelling the last reaches the first, by a list
 * and not by a recursion that would need a stack of any depth. */
static int long_chain_of_awaits_is_cancelled(void *arg)
{
    int count = test_sanitized ? 2000 : CHAIN;
    chain_ended = 0;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < count; i++)
        chain[i] = calm_spawn(&group, await_previous, number(i));
    calm_sleep(CALM_MS);
    calm_cancel(chain[count - 1]);
    int rc = calm_group_end(&group, 0);
    check_equal(chain_ended, count);
    return rc;
}

/* ---- names that are given up ---- */

static int release_frees_with_the_end(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *ended = calm_spawn(&group, return_number, number(1));
    calm_checkpoint();
    check_equal(calm_group_size(&group), 0);
    calm_release(ended);
    /* The record is used again. */
    calm_task *live = calm_spawn(&group, sleep_ms, number(5));
    check(live == ended);
    calm_release(live);
    calm_release(NULL);
    calm_sleep(10 * CALM_MS);
    check(calm_spawn(&group, return_number, NULL) == live);
    return calm_group_end(&group, 0);
}

static int released_failure_still_counts(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_release(calm_spawn(&group, fail_saying, "released"));
    check_equal(calm_group_end(&group, 0), -EIO);
    check_text(calm_message(-EIO), "released");
    return 0;
}

static int result_is_in_progress_before_the_end(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, return_number, number(3));
    check(!calm_task_done(task));
    check_equal(calm_task_result(task), -EINPROGRESS);
    calm_checkpoint();
    check(calm_task_done(task));
    check_equal(calm_task_result(task), 3);
    check_equal(calm_task_result(task), 3);
    return calm_group_end(&group, 0);
}

static int use_a_stale_name(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, return_number, NULL);
    int result;
    check_equal(calm_await(task, &result), 0);
    check_equal(calm_await(task, &result), 0);
    return calm_group_end(&group, 0);
}

static void die_of_a_stale_name(void)
{
    signal(SIGABRT, SIG_DFL);
    run_virtual(use_a_stale_name, NULL);
}

static int stale_name_ends_the_process_with_a_sentence(void *arg)
{
    char text[4096];
    int status = run_child(die_of_a_stale_name, text, sizeof text);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    check_contains(text, "name was used after it was awaited");
    return 0;
}

static int return_inside_of_a_scope(void *arg)
{
    static calm_timeout timeout;
    calm_name("careless");
    calm_timeout_begin(&timeout, CALM_S);
    return 0;
}

static void die_of_an_open_scope(void)
{
    run_virtual(return_inside_of_a_scope, NULL);
}

static int open_scope_ends_the_process_with_a_sentence(void *arg)
{
    char text[4096];
    int status = run_child(die_of_an_open_scope, text, sizeof text);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    check_contains(text, "task 'careless' returned inside of a scope");
    return 0;
}

/* ---- outside of a run ---- */

static int calls_that_wait_fail_outside_of_a_task(void *arg)
{
    int result;
    calm_mutex mutex = {0};
    check_equal(calm_sleep(1), -EPERM);
    check_equal(calm_sleep(0), -EPERM);
    check_equal(calm_checkpoint(), -EPERM);
    check_equal(calm_await(NULL, &result), -EPERM);
    check_equal(calm_mutex_lock(&mutex), -EPERM);
    check_equal(calm_gather(NULL, 0, NULL), -EPERM);
    check_equal(calm_map(return_number, NULL, 0, 1, NULL), -EPERM);
    check_equal(calm_wait(NULL, 0, CALM_ALL), -EPERM);
    check_contains(calm_message(-EPERM), "outside a task");
    check(calm_self() == NULL);
    check(!calm_cancelled());
    calm_error_clear();
    return 0;
}

/* ---- many ---- */

static int count_up(void *arg)
{
    ++*(size_t *)arg;
    return 0;
}

static int hundred_thousand_spawns_run_once_each(void *arg)
{
    size_t count = 0;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 100000; i++)
        calm_release(calm_spawn(&group, count_up, &count));
    check_equal(calm_group_size(&group), 100000);
    int rc = calm_group_end(&group, 0);
    check_equal(count, 100000);
    return rc;
}

static int spawn_runs_first_when_the_caller_waits(void *arg)
{
    size_t count = 0;
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, count_up, &count);
    check_equal(count, 0);
    calm_checkpoint();
    check_equal(count, 1);
    return calm_group_end(&group, 0);
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(cancelled_sleeper_returns_at_once),
        plain_test(timer_of_a_cancelled_sleeper_is_gone),
        virtual_test(cancelled_before_its_first_step_starts_and_frees),
        virtual_test(every_call_after_one_cancel_fails),
        plain_test(calls_that_wait_fail_outside_of_a_task),
        virtual_test(cancel_of_null_and_of_the_ended_does_nothing),
        virtual_test(cancel_after_completion_in_the_same_tick_completion_wins),
        virtual_test(cancelling_itself_is_seen_at_the_next_call),
        virtual_test(awaiter_cancelled_resumes_after_its_child_has_ended),
        virtual_test(await_in_a_timeout_cancels_the_child_and_times_out),
        virtual_test(await_when_cancelled_still_delivers),
        virtual_test(await_of_null_is_of_one_cancelled),
        virtual_test(await_of_itself_is_a_deadlock),
        virtual_test(await_before_and_after_the_end_gives_the_same_errors),
        virtual_test(two_awaiters_of_one_task_both_get_its_result),
        virtual_test(awaiters_go_on_in_the_order_in_which_they_came),
        virtual_test(one_of_two_awaiters_is_cancelled_both_get_the_end),
        virtual_test(await_takes_the_sentence_along),
        plain_test(a_stale_sentence_of_the_thread_explains_no_task),
        virtual_test(long_chain_of_awaits_is_cancelled),
        virtual_test(release_frees_with_the_end),
        virtual_test(released_failure_still_counts),
        virtual_test(result_is_in_progress_before_the_end),
        plain_test(stale_name_ends_the_process_with_a_sentence),
        plain_test(open_scope_ends_the_process_with_a_sentence),
        virtual_test(hundred_thousand_spawns_run_once_each),
        virtual_test(spawn_runs_first_when_the_caller_waits),
    };
    return run_list("task", tests, sizeof tests / sizeof *tests);
}
