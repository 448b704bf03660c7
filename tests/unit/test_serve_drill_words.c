/* test_serve_drill_words.c - drills in words, and their chance */
#include "ml/serve_drill.h"
#include "test.h"

#include <math.h>

static int words_are_read(void *arg)
{
    struct calm__drill drill = {0};
    check_equal(calm__drill_parse(&drill,
                    "delay=lognormal:20ms:0.5,slow=20:0.01,fail=503:0.1, "
                    "throttle=0.2:3s,concurrent=5:503,cut=0.3,reset,poison=-7"),
        0);
    check_equal(drill.delay, CALM__DRILL_LOGNORMAL);
    check_equal(drill.a, 20 * CALM_MS);
    check(drill.sigma == 0.5 && drill.slow == 0.01 && drill.slow_factor == 20);
    check(drill.fail == 0.1 && drill.fail_status == 503);
    check(drill.throttle == 0.2 && drill.throttle_wait == 3 * CALM_S);
    check(drill.concurrent == 5 && drill.concurrent_status == 503);
    check(drill.cut == 0.3 && drill.reset == 1);
    check(drill.poisoned && drill.poison == -7);
    check_equal(calm__drill_parse(&drill, "ratelimit=10,quota=3,times=2"), 0);
    check_equal((long long)drill.limit, 10);
    check_equal(drill.window, 60 * CALM_S);
    check(drill.quota == 3 && drill.times == 2);
    return 0;
}

static int words_that_are_none_are_named(void *arg)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "there is no drill ''"},
        {"explode", "there is no drill 'explode'"},
        {"fail", "drill 'fail' needs another value"},
        {"fail=200", "'fail=STATUS:SHARE'"},
        {"fail=600", "'fail=STATUS:SHARE'"},
        {"fail=503:2", "'fail=STATUS:SHARE'"},
        {"fail=503:nan", "'fail=STATUS:SHARE'"},
        {"fail=503:0.1:1:1:1", "drill 'fail' needs another value"},
        {"delay=", "'delay=50ms"},
        {"delay=uniform", "'delay=50ms"},
        {"delay=uniform:9ms:3ms", "'delay=50ms"},
        {"delay=1s,boom", "there is no drill 'boom'"},
        {"throttle", "drill 'throttle' needs"},
        {"concurrent=0", "'concurrent=N:STATUS'"},
        {"concurrent=1.5", "'concurrent=N:STATUS'"},
        {"quota=-1", "'quota=N'"},
        {"ratelimit=5:0s", "'ratelimit=N:60s'"},
        {"cut=x", "'cut=SHARE'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calm__drill drill = {0};
        check_equal(calm__drill_parse(&drill, cases[i].text), -EINVAL);
        check_contains(calm_message(-EINVAL), cases[i].message);
    }
    return 0;
}

static int the_same_seed_gives_the_same_chance(void *arg)
{
    struct calm__drills one = {.random = 5}, same = {.random = 5};
    int yes = 0;
    for (int i = 0; i < 10000; i++) {
        bool answer = calm__drill_chance(&one, 0.1);
        check_equal(answer, calm__drill_chance(&same, 0.1));
        yes += answer;
    }
    check(yes > 850 && yes < 1150); /* five standard deviations */
    check(!calm__drill_chance(&one, 0));
    for (int i = 0; i < 1000; i++)
        check(calm__drill_chance(&one, 1));
    return 0;
}

/* The mean of ten thousand delays, in milliseconds. */
static double mean_of(const char *text)
{
    struct calm__drills drills = {.random = 1};
    struct calm__drill drill = {0};
    double sum = 0;
    check_equal(calm__drill_parse(&drill, text), 0);
    for (int i = 0; i < 10000; i++)
        sum += (double)calm__drill_delay(&drills, &drill) / CALM_MS;
    return sum / 10000;
}

static int delays_have_their_means(void *arg)
{
    check(mean_of("delay=50ms") == 50);
    check(fabs(mean_of("delay=uniform:10ms:90ms") - 50) < 1.5);
    check(fabs(mean_of("delay=exponential:50ms") - 50) < 2.5);
    /* The mean of a lognormal distribution is median * exp(sigma^2 / 2). */
    check(fabs(mean_of("delay=lognormal:50ms:0.5") - 56.66) < 2);
    check(fabs(mean_of("delay=50ms,slow=20:0.1") - 145) < 15);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(words_are_read),
        pure_test(words_that_are_none_are_named),
        pure_test(the_same_seed_gives_the_same_chance),
        pure_test(delays_have_their_means),
    };
    return run_list("serve_drill_words", tests, sizeof tests / sizeof *tests);
}
