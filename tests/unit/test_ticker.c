/* test_ticker.c - the count goes up while a loop is busy, and then rests */
#include "unit.h"

#include "base/clock.h"
#include "base/fault.h"
#include "host/ticker.h"

#include <calm/time.h>

#include <unistd.h>

/* Whether the count changes within the time, which is generous: the machine
 * may be busy. */
static bool ticks_within(int64_t duration)
{
    uint32_t before = atomic_load(&calm__ticks);
    int64_t end = calm__clock_now() + duration;
    while (calm__clock_now() < end) {
        if (atomic_load(&calm__ticks) != before)
            return true;
        usleep(1000);
    }
    return false;
}

static void it_ticks_while_a_loop_is_busy(void **state)
{
    calm__ticker_open();
    calm__ticker_rise();
    for (int i = 0; i < 3; i++)
        assert_true(ticks_within(10 * CALM_S));
    calm__ticker_rest();
    calm__ticker_close();
}

static void it_pauses_when_all_rest_and_goes_on_with_the_first(void **state)
{
    calm__ticker_open();
    /* Ten ticks of patience, of 10 ms each. */
    int64_t end = calm__clock_now() + 60 * CALM_S;
    while (ticks_within(100 * CALM_MS))
        assert_true(calm__clock_now() < end);
    calm__ticker_rise();
    assert_true(ticks_within(10 * CALM_S));
    calm__ticker_rest();
    calm__ticker_close();
}

static void it_can_be_closed_while_it_pauses(void **state)
{
    calm__ticker_open();
    while (ticks_within(100 * CALM_MS))
        continue;
    calm__ticker_close();
}

static void without_a_thread_nothing_ticks(void **state)
{
    calm__fault_arm("thread", 1);
    calm__ticker_open();
    calm__fault_disarm();
    calm__ticker_rise();
    assert_false(ticks_within(30 * CALM_MS));
    calm__ticker_rest();
    calm__ticker_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ticks_while_a_loop_is_busy),
        cmocka_unit_test(it_pauses_when_all_rest_and_goes_on_with_the_first),
        cmocka_unit_test(it_can_be_closed_while_it_pauses),
        cmocka_unit_test(without_a_thread_nothing_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
