/* test_rate.c - a limit of so much per time */
#include "test.h"

struct taker {
    calm_rate *rate;
    double amount;
    int rc;
    int64_t at_ms;
};

static int64_t began;

static int take(void *arg)
{
    struct taker *taker = arg;
    taker->rc = calm_rate_take(taker->rate, taker->amount);
    taker->at_ms = ms_since(began);
    return 0;
}

static int ten_a_second_come_evenly(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 10, CALM_S, 1);
    began = calm_now();
    for (int i = 0; i < 30; i++) {
        check_equal(calm_rate_take(&rate, 1), 0);
        int64_t late = ms_since(began) - 100 * i;
        check(late >= 0 && late <= 1);
    }
    return 0;
}

static int burst_is_there_at_once_and_fills_again(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 60, 60 * CALM_S, 5);
    began = calm_now();
    for (int i = 0; i < 5; i++)
        check_equal(calm_rate_take(&rate, 1), 0);
    check_equal(ms_since(began), 0);
    calm_sleep(CALM_S * 3600);
    began = calm_now();
    for (int i = 0; i < 6; i++)
        check_equal(calm_rate_take(&rate, 1), 0);
    check(ms_since(began) >= 999 && ms_since(began) <= 1001);
    return 0;
}

/* The large one was first; the small ones could be served before it. */
static int waiters_are_served_in_their_order(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 10, CALM_S, 10);
    began = calm_now();
    check_equal(calm_rate_take(&rate, 10), 0);
    struct taker takers[] = {{&rate, 10}, {&rate, 1}, {&rate, 1}};
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++)
        calm_spawn(&group, take, &takers[i]);
    int rc = calm_group_end(&group, 0);
    check(takers[0].at_ms >= 999 && takers[0].at_ms <= 1001);
    check(takers[1].at_ms >= 1099 && takers[1].at_ms <= 1101);
    check(takers[2].at_ms >= 1199 && takers[2].at_ms <= 1201);
    return rc;
}

static int cancelled_waiter_takes_nothing(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 1, CALM_S, 1);
    began = calm_now();
    check_equal(calm_rate_take(&rate, 1), 0);
    struct taker takers[] = {{&rate, 1}, {&rate, 1}};
    calm_group group;
    calm_group_begin(&group);
    calm_task *first = calm_spawn(&group, take, &takers[0]);
    calm_spawn(&group, take, &takers[1]);
    calm_sleep(500 * CALM_MS);
    calm_cancel(first);
    int rc = calm_group_end(&group, 0);
    check_equal(takers[0].rc, -ECANCELED);
    check_equal(takers[0].at_ms, 500);
    check_equal(takers[1].rc, 0);
    check(takers[1].at_ms >= 999 && takers[1].at_ms <= 1001);
    return rc;
}

static int more_than_the_burst_leaves_a_debt(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 10, CALM_S, 10);
    began = calm_now();
    check_equal(calm_rate_take(&rate, 50), 0);
    check_equal(ms_since(began), 0);
    check_equal(calm_rate_take(&rate, 10), 0);
    check(ms_since(began) >= 4999 && ms_since(began) <= 5001);
    return 0;
}

static int what_is_given_back_need_not_be_waited_for(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 10, CALM_S, 10);
    check_equal(calm_rate_take(&rate, 10), 0);
    check(calm_rate_wait(&rate, 5) > 0);
    calm_rate_give(&rate, 5);
    check_equal(calm_rate_wait(&rate, 5), 0);
    calm_rate_give(&rate, 1000);
    check_equal(calm_rate_wait(&rate, 10), 0);
    calm_rate_give(&rate, -20);
    int64_t wait = calm_rate_wait(&rate, 1);
    check(wait >= 1100 * CALM_MS && wait <= 1101 * CALM_MS);
    return 0;
}

static int rate_next_to_nothing_waits_for_ever(void *arg)
{
    calm_rate rate;
    calm_rate_init(&rate, 1e-300, CALM_FOREVER, 1);
    check_equal(calm_rate_take(&rate, 1), 0);
    check_equal(calm_rate_wait(&rate, 1), CALM_FOREVER);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(ten_a_second_come_evenly),
        virtual_test(burst_is_there_at_once_and_fills_again),
        virtual_test(waiters_are_served_in_their_order),
        virtual_test(cancelled_waiter_takes_nothing),
        virtual_test(more_than_the_burst_leaves_a_debt),
        virtual_test(what_is_given_back_need_not_be_waited_for),
        virtual_test(rate_next_to_nothing_waits_for_ever),
    };
    return run_list("rate", tests, sizeof tests / sizeof *tests);
}
