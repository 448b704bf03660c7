/* test_scope.c - timeouts, shields, sleep, and how a cancel travels */
#include "test.h"

/* ---- sleep ---- */

static int sleep_takes_its_time_on_the_virtual_clock(void *arg)
{
    int64_t start = calm_now();
    check_equal(calm_sleep(3600 * CALM_S), 0);
    check_equal(calm_now() - start, 3600 * CALM_S);
    check_equal(calm_sleep_until(start), 0);
    check_equal(calm_sleep(-5), 0);
    check_equal(calm_sleep_until(INT64_MIN), 0);
    check_equal(calm_now() - start, 3600 * CALM_S);
    return 0;
}

static int note_order(void *arg)
{
    static int turn;
    int *ret_turn = arg;
    int rc = calm_sleep(*ret_turn * CALM_MS);
    *ret_turn = turn++;
    return rc;
}

static int sleepers_of_one_deadline_wake_in_order(void *arg)
{
    int turns[100];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 100; i++) {
        turns[i] = 10;
        calm_spawn(&group, note_order, &turns[i]);
    }
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 100; i++)
        check_equal(turns[i] - turns[0], i);
    return rc;
}

static int sleep_for_ever_ends_by_a_cancel(void *arg)
{
    int64_t start = calm_now();
    for (int i = 0; i < 3; i++) {
        int64_t durations[] = {CALM_FOREVER, CALM_FOREVER - 1, INT64_MAX / 2};
        calm_timeout timeout;
        calm_timeout_begin(&timeout, CALM_MS);
        check_equal(
            calm_timeout_end(&timeout, calm_sleep(durations[i])), -ETIMEDOUT);
    }
    check_equal(ms_since(start), 3);
    return 0;
}

/* ---- timeouts ---- */

static int expired_scope_times_out_and_the_task_goes_on(void *arg)
{
    int64_t start = calm_now();
    check_equal(
        calm_with_timeout(10 * CALM_MS, sleep_ms, number(1000)), -ETIMEDOUT);
    check_equal(ms_since(start), 10);
    check(!calm_cancelled());
    check_equal(calm_error_count(), 0);
    check_equal(calm_sleep(CALM_MS), 0);
    return 0;
}

static int unexpired_scope_gives_the_result(void *arg)
{
    int64_t start = calm_now();
    check_equal(calm_with_timeout(CALM_S, return_number, number(7)), 7);
    check_equal(calm_with_timeout(CALM_S, sleep_ms, number(10)), 0);
    check_equal(calm_with_timeout(CALM_S, fail_saying, "something else"), -EIO);
    check_text(calm_message(-EIO), "something else");
    check_equal(ms_since(start), 10);
    calm_error_clear();
    return 0;
}

static int timeout_of_zero_expires_at_once(void *arg)
{
    int64_t durations[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, durations[i]);
        check(calm_timeout_expired(&timeout));
        check(calm_cancelled());
        check_equal(calm_sleep(0), -ECANCELED);
        check_equal(calm_sleep(CALM_S), -ECANCELED);
        check_equal(calm_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);
        check(!calm_cancelled());
    }
    /* Code that does not wait succeeds all the same. */
    check_equal(calm_with_timeout(0, return_number, number(3)), 3);
    return 0;
}

static int timeout_of_forever_never_expires(void *arg)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_FOREVER);
    check_equal(calm_sleep(1000000 * CALM_S), 0);
    check(!calm_timeout_expired(&timeout));
    return calm_timeout_end(&timeout, 0);
}

static int inner_of_two_equal_deadlines_sees_a_cancel(void *arg)
{
    for (int inner_first = 0; inner_first < 2; inner_first++) {
        calm_timeout outer, inner;
        calm_timeout_begin(&outer, 10 * CALM_MS);
        calm_timeout_begin(&inner, 10 * CALM_MS);
        if (inner_first) /* the outer timer goes behind the inner one */
            calm_timeout_reset(&outer, 10 * CALM_MS);
        int rc = calm_sleep(CALM_S);
        check_equal(rc, -ECANCELED);
        rc = calm_timeout_end(&inner, rc);
        check_equal(rc, -ECANCELED);
        check_equal(calm_sleep(1), -ECANCELED);
        check_equal(calm_timeout_end(&outer, rc), -ETIMEDOUT);
    }
    return 0;
}

static int outer_deadline_before_the_inner(void *arg)
{
    calm_timeout outer, inner;
    calm_timeout_begin(&outer, 10 * CALM_MS);
    calm_timeout_begin(&inner, 20 * CALM_MS);
    int rc = calm_timeout_end(&inner, calm_sleep(CALM_S));
    check_equal(rc, -ECANCELED);
    check(!calm_timeout_expired(&inner));
    check_equal(calm_timeout_end(&outer, rc), -ETIMEDOUT);
    return 0;
}

static int inner_deadline_before_the_outer_goes_on(void *arg)
{
    calm_timeout outer, inner;
    calm_timeout_begin(&outer, 20 * CALM_MS);
    calm_timeout_begin(&inner, 10 * CALM_MS);
    check_equal(calm_timeout_end(&inner, calm_sleep(CALM_S)), -ETIMEDOUT);
    check_equal(calm_sleep(5 * CALM_MS), 0);
    check_equal(calm_timeout_end(&outer, 0), 0);
    return 0;
}

static int sleep_in_a_timeout(void *arg)
{
    return calm_with_timeout(100 * CALM_MS, sleep_ms, number(1000));
}

static int cancel_within_an_unexpired_scope_is_a_cancel(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_in_a_timeout, NULL);
    calm_sleep(50 * CALM_MS);
    calm_cancel(task);
    int result = 0;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    return calm_group_end(&group, 0);
}

static int timeout_in_a_task(void *arg)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 100 * CALM_MS);
    int rc = calm_timeout_end(&timeout, calm_sleep(CALM_S));
    *(int *)arg = rc;
    return rc;
}

/* The timer that cancels fires before or after the one that expires. */
static int cancel_and_expiry_in_one_tick_are_a_cancel(void *arg)
{
    for (int cancel_last = 0; cancel_last < 2; cancel_last++) {
        int result = 0;
        calm_timeout outer;
        calm_timeout_begin(&outer, 100 * CALM_MS);
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(&group, timeout_in_a_task, &result);
        calm_checkpoint();
        if (cancel_last)
            calm_timeout_reset(&outer, 100 * CALM_MS);
        int rc = calm_timeout_end(&outer, calm_group_end(&group, 0));
        check_equal(rc, -ETIMEDOUT);
        check_equal(result, -ECANCELED);
    }
    return 0;
}

static int cancel_after_expiry_before_the_next_step_is_a_cancel(void *arg)
{
    int result = 0;
    calm_group group;
    calm_group_begin(&group);
    calm_timeout timeout; /* wakes us before the other timeout's task */
    calm_timeout_begin(&timeout, 100 * CALM_MS);
    calm_task *task = calm_spawn(&group, timeout_in_a_task, &result);
    check_equal(calm_timeout_end(&timeout, calm_sleep(CALM_S)), -ETIMEDOUT);
    calm_cancel(task);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(result, -ECANCELED);
    return 0;
}

static int another_error_after_expiry_wins(void *arg)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_MS);
    check_equal(calm_sleep(CALM_S), -ECANCELED);
    int rc = calm_timeout_end(&timeout, calm_fail(-EPROTO, "half a line"));
    check_equal(rc, -EPROTO);
    check_text(calm_message(rc), "half a line");
    calm_error_clear();
    calm_timeout_begin(&timeout, CALM_MS);
    check_equal(calm_sleep(CALM_S), -ECANCELED);
    check_equal(calm_timeout_end(&timeout, 11), 11);
    return 0;
}

static int reset_moves_the_deadline(void *arg)
{
    int64_t start = calm_now();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 10 * CALM_MS);
    for (int i = 0; i < 5; i++) {
        check_equal(calm_sleep(8 * CALM_MS), 0);
        check_equal(calm_timeout_reset(&timeout, 10 * CALM_MS), 0);
    }
    check_equal(calm_sleep(CALM_S), -ECANCELED);
    check_equal(ms_since(start), 50);
    check_equal(calm_timeout_reset(&timeout, CALM_S), -ETIMEDOUT);
    check_equal(calm_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);

    calm_timeout_begin(&timeout, CALM_FOREVER);
    check_equal(calm_timeout_reset(&timeout, CALM_MS), 0);
    check_equal(calm_timeout_end(&timeout, calm_sleep(CALM_S)), -ETIMEDOUT);

    calm_timeout_begin(&timeout, CALM_MS);
    check_equal(calm_timeout_reset(&timeout, CALM_FOREVER), 0);
    check_equal(calm_sleep(CALM_S), 0);
    check_equal(calm_timeout_reset(&timeout, 0), 0);
    check(calm_timeout_expired(&timeout));
    check_equal(calm_timeout_end(&timeout, calm_sleep(1)), -ETIMEDOUT);
    return 0;
}

static int begin_at_counts_from_the_clock(void *arg)
{
    int64_t start = calm_now();
    calm_timeout timeout;
    calm_timeout_begin_at(&timeout, start + 20 * CALM_MS);
    calm_sleep(15 * CALM_MS);
    check_equal(calm_timeout_end(&timeout, calm_sleep(CALM_S)), -ETIMEDOUT);
    check_equal(ms_since(start), 20);
    calm_timeout_begin_at(&timeout, start);
    check_equal(calm_timeout_end(&timeout, calm_sleep(CALM_S)), -ETIMEDOUT);
    return 0;
}

static int nest(int depth)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, (depth + 1) * CALM_MS);
    int rc = depth ? nest(depth - 1) : calm_sleep(CALM_S);
    /* Only the innermost one, the earliest, has expired. */
    rc = calm_timeout_end(&timeout, rc);
    check_equal(rc, -ETIMEDOUT);
    return depth == 100 ? 0 : rc;
}

static int hundred_nested_timeouts(void *arg)
{
    int64_t start = calm_now();
    nest(100);
    check_equal(ms_since(start), 1);
    return 0;
}

/* ---- shields ---- */

struct shielded {
    int before, inside, after;
    int64_t inside_ms;
    bool cancelled_inside, cancelled_after;
};

static int work_in_a_shield(void *arg)
{
    struct shielded *seen = arg;
    calm_shield shield;
    calm_shield_begin(&shield);
    int64_t start = calm_now();
    seen->inside = calm_sleep(100 * CALM_MS);
    seen->inside_ms = ms_since(start);
    seen->cancelled_inside = calm_cancelled();
    calm_shield_end(&shield);
    seen->cancelled_after = calm_cancelled();
    seen->after = calm_sleep(0);
    return seen->after;
}

static int shield_keeps_a_cancel_out_until_its_end(void *arg)
{
    for (int first_step = 0; first_step < 2; first_step++) {
        struct shielded seen = {1, 1, 1, 0, true, false};
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, work_in_a_shield, &seen);
        if (!first_step)
            calm_sleep(10 * CALM_MS);
        calm_cancel(task);
        int result = 0;
        check_equal(calm_await(task, &result), 0);
        check_equal(result, -ECANCELED);
        check_equal(seen.inside, 0);
        check_equal(seen.inside_ms, 100);
        check(!seen.cancelled_inside);
        check(seen.cancelled_after);
        check_equal(seen.after, -ECANCELED);
        check_equal(calm_group_end(&group, 0), 0);
    }
    return 0;
}

static int shield_does_not_stop_its_own_timeout(void *arg)
{
    int64_t start = calm_now();
    calm_timeout outer, inner;
    calm_shield shield;
    calm_timeout_begin(&outer, 5 * CALM_MS);
    check_equal(calm_sleep(CALM_S), -ECANCELED);
    calm_shield_begin(&shield);
    calm_timeout_begin(&inner, 20 * CALM_MS);
    check_equal(calm_sleep(10 * CALM_MS), 0);
    check_equal(calm_timeout_end(&inner, calm_sleep(CALM_S)), -ETIMEDOUT);
    check_equal(calm_sleep(5 * CALM_MS), 0);
    calm_shield_end(&shield);
    check_equal(calm_sleep(0), -ECANCELED);
    check_equal(calm_timeout_end(&outer, -ECANCELED), -ETIMEDOUT);
    check_equal(ms_since(start), 30);
    return 0;
}

static int shields_nest(void *arg)
{
    calm_timeout timeout;
    calm_shield outer, inner;
    calm_timeout_begin(&timeout, 0);
    calm_shield_begin(&outer);
    calm_shield_begin(&inner);
    check_equal(calm_sleep(1), 0);
    calm_shield_end(&inner);
    check_equal(calm_sleep(1), 0);
    calm_shield_end(&outer);
    check_equal(calm_timeout_end(&timeout, calm_sleep(1)), -ETIMEDOUT);
    return 0;
}

/* timeout( shield( timeout( shield( work ) ) ) ): the inner expiry is seen
 * between the shields, the outer one after both. */
static int shield_in_a_timeout_in_a_shield_in_a_timeout(void *arg)
{
    calm_timeout outer, inner;
    calm_shield first, second;
    calm_timeout_begin(&outer, 10 * CALM_MS);
    calm_shield_begin(&first);
    calm_timeout_begin(&inner, 20 * CALM_MS);
    calm_shield_begin(&second);
    check_equal(calm_sleep(50 * CALM_MS), 0);
    calm_shield_end(&second);
    check_equal(calm_sleep(1), -ECANCELED);
    check_equal(calm_timeout_end(&inner, -ECANCELED), -ETIMEDOUT);
    check_equal(calm_sleep(1), 0);
    calm_shield_end(&first);
    check_equal(calm_sleep(1), -ECANCELED);
    check_equal(calm_timeout_end(&outer, -ECANCELED), -ETIMEDOUT);
    return 0;
}

static int group_in_a_shield(void *arg)
{
    calm_shield shield;
    calm_shield_begin(&shield);
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, sleep_ms, number(100));
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(ms_since(start), 100);
    calm_shield_end(&shield);
    return calm_checkpoint();
}

static int cancel_does_not_reach_a_group_inside_of_a_shield(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, group_in_a_shield, NULL);
    calm_checkpoint();
    calm_checkpoint();
    calm_cancel(task);
    check_equal(calm_group_end(&group, 0), 0);
    return 0;
}

static int shield_in_the_body_of_a_group(void *arg)
{
    int *child = arg;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_ms, NULL);
    calm_shield shield;
    calm_shield_begin(&shield);
    check_equal(calm_sleep(100 * CALM_MS), 0);
    *child = calm_task_result(task);
    calm_shield_end(&shield);
    return calm_group_end(&group, calm_sleep(0));
}

/* The children are outside of the shield: they see the cancel at once. */
static int cancel_reaches_the_children_of_a_body_that_is_shielded(void *arg)
{
    int child = 1;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, shield_in_the_body_of_a_group, &child);
    calm_sleep(CALM_MS);
    calm_cancel(task);
    int result = 0;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(child, -ECANCELED);
    return calm_group_end(&group, 0);
}

/* ---- cancel through groups ---- */

struct depth {
    int left;
    int *cancelled;
};

static int descend(void *arg)
{
    struct depth *depth = arg;
    struct depth below = {depth->left - 1, depth->cancelled};
    int rc;
    if (depth->left == 0) {
        rc = calm_sleep(CALM_FOREVER);
    } else {
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(&group, descend, &below);
        rc = calm_group_end(&group, 0);
    }
    *depth->cancelled += rc == -ECANCELED;
    return rc;
}

static int cancel_reaches_grandchildren_at_once(void *arg)
{
    int cancelled = 0;
    struct depth depth = {2, &cancelled};
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, descend, &depth);
    calm_sleep(CALM_MS);
    calm_cancel(task);
    int rc = calm_group_end(&group, 0);
    check_equal(cancelled, 3);
    check_equal(ms_since(start), 1);
    return rc;
}

static int cancel_goes_down_ten_thousand_levels(void *arg)
{
    int cancelled = 0, levels = test_sanitized ? 1000 : 10000;
    struct depth depth = {levels, &cancelled};
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_S);
    int rc = calm_timeout_end(&timeout, descend(&depth));
    check_equal(rc, -ETIMEDOUT);
    check_equal(cancelled, levels + 1);
    return 0;
}

static int fail_below(void *arg)
{
    struct depth *depth = arg;
    struct depth below = {depth->left - 1, depth->cancelled};
    if (depth->left == 0)
        return calm_fail(-EPROTO, "the bottom");
    calm_group group;
    calm_group_begin(&group);
    calm_release(calm_spawn(&group, fail_below, &below));
    return calm_group_end(&group, 0);
}

static int error_comes_up_ten_thousand_levels(void *arg)
{
    struct depth depth = {test_sanitized ? 1000 : 10000, NULL};
    check_equal(fail_below(&depth), -EPROTO);
    check_text(calm_message(-EPROTO), "the bottom");
    check_equal(calm_error_count(), 1);
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(sleep_takes_its_time_on_the_virtual_clock),
        virtual_test(sleepers_of_one_deadline_wake_in_order),
        virtual_test(sleep_for_ever_ends_by_a_cancel),
        virtual_test(expired_scope_times_out_and_the_task_goes_on),
        virtual_test(unexpired_scope_gives_the_result),
        virtual_test(timeout_of_zero_expires_at_once),
        virtual_test(timeout_of_forever_never_expires),
        virtual_test(inner_of_two_equal_deadlines_sees_a_cancel),
        virtual_test(outer_deadline_before_the_inner),
        virtual_test(inner_deadline_before_the_outer_goes_on),
        virtual_test(cancel_within_an_unexpired_scope_is_a_cancel),
        virtual_test(cancel_and_expiry_in_one_tick_are_a_cancel),
        virtual_test(cancel_after_expiry_before_the_next_step_is_a_cancel),
        virtual_test(another_error_after_expiry_wins),
        virtual_test(reset_moves_the_deadline),
        virtual_test(begin_at_counts_from_the_clock),
        virtual_test(hundred_nested_timeouts),
        virtual_test(shield_keeps_a_cancel_out_until_its_end),
        virtual_test(shield_does_not_stop_its_own_timeout),
        virtual_test(shields_nest),
        virtual_test(shield_in_a_timeout_in_a_shield_in_a_timeout),
        virtual_test(cancel_does_not_reach_a_group_inside_of_a_shield),
        virtual_test(cancel_reaches_the_children_of_a_body_that_is_shielded),
        virtual_test(cancel_reaches_grandchildren_at_once),
        virtual_test(cancel_goes_down_ten_thousand_levels),
        virtual_test(error_comes_up_ten_thousand_levels),
    };
    return run_list("scope", tests, sizeof tests / sizeof *tests);
}
