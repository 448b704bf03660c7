/* test_hints.c - limits and waits from headers */
#include "unit.h"

#include "ml/hints.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const int64_t ms = 1000000, second = 1000000000;
static const int64_t century = (int64_t)100 * 365 * 86400 * 1000000000;

static void durations_have_units_or_are_seconds(void **state)
{
    const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"12ms", 12 * ms},
        {"1s", second},
        {"6m0s", 360 * second},
        {"1h2m3.5s", 3723 * second + 500 * ms},
        {"0s", 0},
        {"0", 0},
        {"7", 7 * second},
        {" 7.25 ", 7 * second + 250 * ms},
        {"1m", 60 * second},
        {"1d", 86400 * second},
        {"250us", 250000},
        {"250\xc2\xb5s", 250000},
        {"3ns", 3},
        {".5s", 500 * ms},
        {"1.s", second},
        {"59.989999999999s", 59 * second + 989 * ms + 999999},
        {"99999999999999999999", century},
        {"99999999999h", century},
        {"9999999999m9999999999999h", century},
        /* refused */
        {"", -1},
        {" ", -1},
        {"-1", -1},
        {"-1s", -1},
        {"s", -1},
        {".", -1},
        {"1x", -1},
        {"1 s", -1},
        {"1m2", -1},
        {"1s2", -1},
        {"1,5s", -1},
        {"1e3", -1},
        {"0x10", -1},
        {"inf", -1},
        {"nan", -1},
        {"+1", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = calm__duration_parse(cases[i].text, strlen(cases[i].text));
        if (ns != cases[i].ns)
            fail_msg("'%s' is %lld", cases[i].text, (long long)ns);
    }
}

static void dates_have_three_forms(void **state)
{
    const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 UTC", 1709251200},
        {"Wed, 25-Nov-26 12:00:00 GMT", 1795608000},
        {"Fri, 31 Dec 2199 23:59:59 GMT", 7258118399},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 7258118400},
        /* refused */
        {"", -1},
        {"yesterday", -1},
        {"Sun, 06 Nov 1994 08:49:37 CET", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 32 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1969 08:49:37 GMT", -1},
        {"Sun, 06 Now 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 19944 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 8 4 9 GMT GMT GMT", -1},
        {"Sun, +6 Nov 1994 08:49:37 GMT", -1},
        {"1994-11-06T08:49:37Z", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns =
            calm__http_date_parse(cases[i].text, strlen(cases[i].text));
        int64_t wanted = cases[i].seconds < 0 ? -1 : cases[i].seconds * second;
        if (ns != wanted)
            fail_msg("'%s' is %lld", cases[i].text, (long long)ns);
    }
}

static struct calm__hints hints_of(const char *name, const char *value)
{
    struct calm__hints hints = CALM__HINTS_NONE;
    calm__hints_header(&hints, name, value, strlen(value), 784111777 * second);
    return hints;
}

static void a_wait_is_seconds_milliseconds_or_a_date(void **state)
{
    const struct {
        const char *name, *value;
        int64_t wait;
    } cases[] = {
        {"Retry-After", "3", 3 * second},
        {"retry-after", "0", 0},
        {"RETRY-AFTER", " 1.5 ", second + 500 * ms},
        {"Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT", 60 * second},
        {"Retry-After", "Sun, 06 Nov 1994 08:48:37 GMT", 0},
        {"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT", century},
        {"Retry-After", "99999999999999999999", century},
        {"Retry-After", "-1", -1},
        {"Retry-After", "", -1},
        {"Retry-After", "soon", -1},
        {"Retry-After", "3 s", -1},
        {"retry-after-ms", "250", 250 * ms},
        {"Retry-After-Ms", "0.5", ms / 2},
        {"retry-after-ms", "-250", -1},
        {"retry-after-ms", "1s", -1},
        {"Retry-Afterwards", "3", -1},
        {"", "3", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__hints hints = hints_of(cases[i].name, cases[i].value);
        if (calm__hints_wait(&hints) != cases[i].wait)
            fail_msg("%s: %s is %lld", cases[i].name, cases[i].value,
                (long long)calm__hints_wait(&hints));
    }
}

static void milliseconds_come_before_seconds(void **state)
{
    struct calm__hints hints = CALM__HINTS_NONE;
    assert_int_equal(calm__hints_wait(&hints), -1);
    calm__hints_header(&hints, "Retry-After", "9", 1, 0);
    calm__hints_header(&hints, "retry-after-ms", "20", 2, 0);
    assert_int_equal(calm__hints_wait(&hints), 20 * ms);
}

static void a_server_may_decide_about_retries(void **state)
{
    assert_int_equal(hints_of("x-should-retry", "true").should_retry, 1);
    assert_int_equal(hints_of("X-Should-Retry", " False").should_retry, 0);
    assert_int_equal(hints_of("x-should-retry", "maybe").should_retry, -1);
    assert_int_equal(hints_of("x-should-retry", "").should_retry, -1);
}

struct budget_case {
    const char *name, *value;
    struct calm__budget requests, tokens;
};

static void expect_budgets(const struct budget_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct calm__hints hints = hints_of(cases[i].name, cases[i].value);
        if (memcmp(&hints.requests, &cases[i].requests,
                sizeof hints.requests) != 0 ||
            memcmp(&hints.tokens, &cases[i].tokens, sizeof hints.tokens) != 0)
            fail_msg("%s: %s: %lld %lld %lld, %lld %lld %lld", cases[i].name,
                cases[i].value, (long long)hints.requests.limit,
                (long long)hints.requests.remaining,
                (long long)hints.requests.reset, (long long)hints.tokens.limit,
                (long long)hints.tokens.remaining,
                (long long)hints.tokens.reset);
    }
}

#define NONE                                                                   \
    {                                                                          \
        -1, -1, -1                                                             \
    }

static void budgets_are_of_requests_and_of_tokens(void **state)
{
    const struct budget_case cases[] = {
        {"x-ratelimit-limit-requests", "60", {60, -1, -1}, NONE},
        {"X-RateLimit-Remaining-Tokens", "149984", NONE, {-1, 149984, -1}},
        {"x-ratelimit-reset-tokens", "6m0s", NONE, {-1, -1, 360 * second}},
        {"x-ratelimit-reset-requests", "12ms", {-1, -1, 12 * ms}, NONE},
        {"x-ratelimit-reset-requests", "5", {-1, -1, 5 * second}, NONE},
        {"x-ratelimit-reset-requests", "-1", NONE, NONE},
        {"x-ratelimit-remaining-requests", "-1", NONE, NONE},
        {"x-ratelimit-remaining-requests", "0", {-1, 0, -1}, NONE},
        {"x-ratelimit-remaining", "3", {-1, 3, -1}, NONE},
        {"ratelimit-reset", "3", {-1, -1, 3 * second}, NONE},
        {"ratelimit-limit", "100, 100;w=60", {100, -1, -1}, NONE},
        /* The time of day: 23 s later. */
        {"x-ratelimit-reset", "784111800", {-1, -1, 784111800 * second}, NONE},
        {"x-ratelimit-reset", "1784111777",
            {-1, -1, (int64_t)1000000000 * second}, NONE},
        {"x-ratelimit-reset", "1784111777000",
            {-1, -1, (int64_t)1000000000 * second}, NONE},
        {"x-ratelimit-limit-requests", "99999999999999999999",
            {century, -1, -1}, NONE},
        {"x-ratelimit-limit-requests", "sixty", NONE, NONE},
        {"x-ratelimit-limit-images", "5", NONE, NONE},
        {"x-ratelimit-policy", "5", NONE, NONE},
        {"x-ratelimit-", "5", NONE, NONE},
    };
    expect_budgets(cases, COUNT(cases));
}

static void one_header_may_say_it_all(void **state)
{
    const struct budget_case cases[] = {
        {"RateLimit", "\"api\";r=0;t=55", {-1, 0, 55 * second}, NONE},
        {"ratelimit", "\"a;r=1,\";r=7;t=2", {-1, 7, 2 * second}, NONE},
        {"RateLimit", "\"m\";r=5;t=3, \"d\";r=0;t=9", {-1, 0, 9 * second},
            NONE},
        {"RateLimit", "\"d\";r=0;t=9,\"m\";r=5;t=3", {-1, 0, 9 * second}, NONE},
        {"RateLimit", "\"m\";r=0;t=3, \"d\";r=0;t=9", {-1, 0, 9 * second},
            NONE},
        {"RateLimit", "\"tokens\";r=4;t=1, \"api\";r=2", {-1, 2, -1},
            {-1, 4, second}},
        {"RateLimit", "limit=10, remaining=0, reset=5", {10, 0, 5 * second},
            NONE},
        {"RateLimit", "r = 3 ; t = 4", {-1, 3, 4 * second}, NONE},
        {"RateLimit", "\"api\";r=-1;t=-1", NONE, NONE},
        {"RateLimit", "\"api;r=0;t=5", NONE, NONE},
        {"RateLimit", ";;,,==;r=;t", NONE, NONE},
        {"RateLimit", "", NONE, NONE},
    };
    expect_budgets(cases, COUNT(cases));
}

static void what_is_used_up_makes_a_wait(void **state)
{
    struct calm__hints hints = CALM__HINTS_NONE;
    hints.requests = (struct calm__budget){10, 0, 3 * second};
    hints.tokens = (struct calm__budget){10, 1, 9 * second};
    assert_int_equal(calm__hints_wait(&hints), 3 * second);
    hints.tokens.remaining = 0;
    assert_int_equal(calm__hints_wait(&hints), 9 * second);
    hints.tokens.reset = hints.requests.reset = -1;
    assert_int_equal(calm__hints_wait(&hints), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units_or_are_seconds),
        cmocka_unit_test(dates_have_three_forms),
        cmocka_unit_test(a_wait_is_seconds_milliseconds_or_a_date),
        cmocka_unit_test(milliseconds_come_before_seconds),
        cmocka_unit_test(a_server_may_decide_about_retries),
        cmocka_unit_test(budgets_are_of_requests_and_of_tokens),
        cmocka_unit_test(one_header_may_say_it_all),
        cmocka_unit_test(what_is_used_up_makes_a_wait),
    };
    return cmocka_run_group_tests_name("hints", tests, NULL, NULL);
}
