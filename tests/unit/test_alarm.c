/* test_alarm.c - timers that call a function on the loop's stack */
#include "test.h"

#include "base/fault.h"
#include "core/sched.h"

struct bell {
    struct calm__alarm alarm; /* first */
    int rung;
    int64_t at;
    int64_t again; /* set once more, so much later */
};

static void ring(struct calm__alarm *alarm)
{
    struct bell *bell = (struct bell *)alarm;
    check(calm_self() == NULL);
    bell->rung++;
    bell->at = calm_now();
    if (bell->again)
        calm__alarm_set(alarm, calm_now() + bell->again);
    bell->again = 0;
}

static int an_alarm_rings_once_at_its_time(void *arg)
{
    struct bell bell = {.rung = 0};
    int64_t start = calm_now();
    check_equal(calm__alarm_open(&bell.alarm, ring), 0);
    calm__alarm_set(&bell.alarm, start + 5 * CALM_S);
    calm__alarm_set(&bell.alarm, start + 2 * CALM_S);
    check_equal(calm_sleep(10 * CALM_S), 0);
    check_equal(bell.rung, 1);
    check_equal(bell.at - start, 2 * CALM_S);
    calm__alarm_close(&bell.alarm);
    return 0;
}

static int an_alarm_may_set_itself_again(void *arg)
{
    struct bell bell = {.again = 3 * CALM_S};
    int64_t start = calm_now();
    check_equal(calm__alarm_open(&bell.alarm, ring), 0);
    calm__alarm_set(&bell.alarm, start + CALM_S);
    check_equal(calm_sleep(10 * CALM_S), 0);
    check_equal(bell.rung, 2);
    check_equal(bell.at - start, 4 * CALM_S);
    calm__alarm_close(&bell.alarm);
    return 0;
}

static int an_alarm_that_is_off_does_not_ring(void *arg)
{
    struct bell bell = {.rung = 0};
    check_equal(calm__alarm_open(&bell.alarm, ring), 0);
    calm__alarm_set(&bell.alarm, calm_now() + CALM_S);
    calm__alarm_set(&bell.alarm, CALM_FOREVER);
    check_equal(calm_sleep(10 * CALM_S), 0);
    check_equal(bell.rung, 0);
    calm__alarm_close(&bell.alarm);
    return 0;
}

static int setting_needs_no_memory(void *arg)
{
    enum { COUNT = 500 };
    static struct bell bells[COUNT];
    memset(bells, 0, sizeof bells);
    for (int i = 0; i < COUNT; i++)
        check_equal(calm__alarm_open(&bells[i].alarm, ring), 0);
    calm__fault_arm("memory", 1);
    for (int i = 0; i < COUNT; i++)
        calm__alarm_set(&bells[i].alarm, calm_now() + (COUNT - i) * CALM_MS);
    check_equal((long long)calm__fault_disarm(), 0);
    check_equal(calm_sleep(CALM_S), 0);
    for (int i = 0; i < COUNT; i++) {
        check_equal(bells[i].rung, 1);
        calm__alarm_close(&bells[i].alarm);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(an_alarm_rings_once_at_its_time),
        virtual_test(an_alarm_may_set_itself_again),
        virtual_test(an_alarm_that_is_off_does_not_ring),
        virtual_test(setting_needs_no_memory),
    };
    return run_list("alarm", tests, sizeof tests / sizeof *tests);
}
