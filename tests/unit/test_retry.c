/* test_retry.c - attempts, growing waits, and what ends them */
#include "test.h"

struct attempts {
    int fails; /* so many fail with CODE */
    int code;
    int count;
    int64_t waits[32];
    int told;
    int refuses; /* a code that is not worth another attempt */
};

static int attempt(void *arg)
{
    struct attempts *attempts = arg;
    if (attempts->count++ < attempts->fails)
        return calm_fail(attempts->code, "attempt %d", attempts->count);
    return 100 + attempts->count;
}

static void note_wait(void *arg, int number, int code, int64_t wait)
{
    struct attempts *attempts = arg;
    check_equal(number, attempts->count);
    check_equal(code, attempts->code);
    char expected[20];
    snprintf(expected, sizeof expected, "attempt %d", number);
    check_text(calm_message(code), expected);
    attempts->waits[attempts->told++] = wait;
}

static bool worth(void *arg, int code)
{
    return code != ((struct attempts *)arg)->refuses;
}

static int succeeds_after_failures(void *arg)
{
    int64_t start = calm_now();
    struct attempts attempts = {.fails = 3, .code = -EIO};
    check_equal(
        calm_retry(attempt, &attempts,
            &(calm_retry_opts){.no_jitter = true, .on_retry = note_wait}),
        104);
    check_equal(attempts.told, 3);
    check_equal(attempts.waits[0], 500 * CALM_MS);
    check_equal(attempts.waits[1], CALM_S);
    check_equal(attempts.waits[2], 2 * CALM_S);
    check_equal(ms_since(start), 3500);
    check_equal(calm_error_count(), 0);
    return 0;
}

static int last_failure_is_returned_with_its_sentence(void *arg)
{
    struct attempts attempts = {.fails = 99, .code = -EIO};
    check_equal(calm_retry(attempt, &attempts, NULL), -EIO);
    check_equal(attempts.count, 5);
    check_text(calm_message(-EIO), "attempt 5");
    attempts.count = 0;
    check_equal(
        calm_retry(attempt, &attempts, &(calm_retry_opts){.attempts = 1}),
        -EIO);
    check_equal(attempts.count, 1);
    calm_error_clear();
    return 0;
}

static int waits_grow_as_told(void *arg)
{
    calm_retry_opts opts = {
        .first_wait = 100 * CALM_MS, .longest_wait = CALM_S};
    static const int64_t exponential[] = {100, 200, 400, 800, 1000, 1000};
    for (int i = 0; i < 6; i++)
        check_equal(calm_retry_wait(&opts, i + 1), exponential[i] * CALM_MS);
    check_equal(calm_retry_wait(&opts, INT32_MAX), CALM_S);
    opts.growth = CALM_LINEAR;
    for (int i = 1; i < 20; i++)
        check_equal(
            calm_retry_wait(&opts, i), (i < 10 ? i * 100 : 1000) * CALM_MS);
    check_equal(calm_retry_wait(&opts, INT32_MAX), CALM_S);
    opts.growth = CALM_CONSTANT;
    check_equal(calm_retry_wait(&opts, 9), 100 * CALM_MS);
    opts =
        (calm_retry_opts){.first_wait = INT64_MAX, .longest_wait = INT64_MAX};
    check_equal(calm_retry_wait(&opts, 3), INT64_MAX);
    opts.growth = CALM_LINEAR;
    check_equal(calm_retry_wait(&opts, 3), INT64_MAX);
    return 0;
}

static int jitter_stays_below_the_wait(void *arg)
{
    for (int round = 0; round < 50; round++) {
        struct attempts attempts = {.fails = 4, .code = -EIO};
        int64_t start = calm_now(), sum = 0;
        check_equal(calm_retry(attempt, &attempts,
                        &(calm_retry_opts){.on_retry = note_wait}),
            105);
        for (int i = 0; i < 4; i++) {
            check(attempts.waits[i] >= 0);
            check(attempts.waits[i] <= (500 * CALM_MS) << i);
            sum += attempts.waits[i];
        }
        check_equal(calm_now() - start, sum);
    }
    return 0;
}

static int what_is_not_worth_it_is_not_tried_again(void *arg)
{
    struct attempts attempts = {
        .fails = 99, .code = -EACCES, .refuses = -EACCES};
    check_equal(
        calm_retry(attempt, &attempts, &(calm_retry_opts){.retryable = worth}),
        -EACCES);
    check_equal(attempts.count, 1);
    attempts = (struct attempts){.fails = 99, .code = -ECANCELED};
    check_equal(
        calm_retry(attempt, &attempts, &(calm_retry_opts){.retryable = worth}),
        -ECANCELED);
    check_equal(attempts.count, 1);
    calm_error_clear();
    return 0;
}

static int total_bounds_the_attempts(void *arg)
{
    struct attempts attempts = {.fails = 99, .code = -EIO};
    int64_t start = calm_now();
    calm_retry_opts opts = {.attempts = 100,
        .first_wait = CALM_S,
        .growth = CALM_CONSTANT,
        .no_jitter = true,
        .total = 3500 * CALM_MS};
    check_equal(calm_retry(attempt, &attempts, &opts), -EIO);
    check_equal(attempts.count, 4);
    check_equal(ms_since(start), 3000);
    opts.first_wait = opts.longest_wait = INT64_MAX; /* must not overflow */
    opts.attempts = 3;
    attempts = (struct attempts){.fails = 99, .code = -EIO};
    check_equal(calm_retry(attempt, &attempts, &opts), -EIO);
    calm_error_clear();
    return 0;
}

static int attempt_slowly(void *arg)
{
    calm_sleep(CALM_S);
    return attempt(arg);
}

static int total_with_endless_waits_does_not_overflow(void *arg)
{
    struct attempts attempts = {.fails = 99, .code = -EIO};
    check_equal(calm_retry(attempt_slowly, &attempts,
                    &(calm_retry_opts){.first_wait = INT64_MAX,
                        .longest_wait = INT64_MAX,
                        .no_jitter = true,
                        .total = 10 * CALM_S}),
        -EIO);
    check_equal(attempts.count, 1);
    calm_error_clear();
    return 0;
}

static int cancel_during_a_wait_ends_it(void *arg)
{
    struct attempts attempts = {.fails = 99, .code = -EIO};
    int64_t start = calm_now();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 2 * CALM_S);
    int rc =
        calm_retry(attempt, &attempts, &(calm_retry_opts){.no_jitter = true});
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(attempts.count, 3);
    check_equal(ms_since(start), 2000);
    return 0;
}

static int options_below_zero_are_refused(void *arg)
{
    struct attempts attempts = {0};
    check_equal(
        calm_retry(attempt, &attempts, &(calm_retry_opts){.attempts = -1}),
        -EINVAL);
    check_equal(
        calm_retry(attempt, &attempts, &(calm_retry_opts){.first_wait = -1}),
        -EINVAL);
    check_equal(calm_retry(attempt, &attempts, &(calm_retry_opts){.total = -1}),
        -EINVAL);
    check_equal(attempts.count, 0);
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(succeeds_after_failures),
        virtual_test(last_failure_is_returned_with_its_sentence),
        virtual_test(waits_grow_as_told),
        virtual_test(jitter_stays_below_the_wait),
        virtual_test(what_is_not_worth_it_is_not_tried_again),
        virtual_test(total_bounds_the_attempts),
        virtual_test(total_with_endless_waits_does_not_overflow),
        virtual_test(cancel_during_a_wait_ends_it),
        virtual_test(options_below_zero_are_refused),
    };
    return run_list("retry", tests, sizeof tests / sizeof *tests);
}
