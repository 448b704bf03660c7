/* test_duration.c - "50ms" -> nanoseconds */
#include "test.h"

static int durations_have_a_number_and_a_unit(void *arg)
{
    static const struct {
        const char *text;
        int64_t wanted; /* -1: none */
    } cases[] = {
        {"50ms", 50 * CALM_MS},
        {"0s", 0},
        {"1.5s", 1500 * CALM_MS},
        {".5us", 500},
        {"7ns", 7},
        {"2m", 120 * CALM_S},
        {"1h", 3600 * CALM_S},
        {"2562047h", 3600 * CALM_S * 2562047},
        {"2562048h", -1},
        {"5", -1},
        {"", -1},
        {"ms", -1},
        {"-1s", -1},
        {"1 s", -1},
        {"1s ", -1},
        {"1.2.3s", -1},
        {"1e3s", -1},
        {"1d", -1},
        {"infs", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t duration = -1;
        const char *text = cases[i].text;
        int rc = calm_duration_parse(text, strlen(text), &duration);
        check_equal(duration, cases[i].wanted);
        check_equal(rc, cases[i].wanted < 0 ? CALM_EFORMAT : 0);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(durations_have_a_number_and_a_unit),
    };
    return run_list("duration", tests, sizeof tests / sizeof *tests);
}
