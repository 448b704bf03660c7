/* test_failures.c - when so much fails that going on would be wrong */
#include "test.h"

#include "ml/failures.h"

static int add(struct calm__failures *failures, int count, bool failed)
{
    for (int i = 1; i <= count; i++)
        if (calm__failures_add(failures, failed))
            return i;
    return 0;
}

static int half_of_the_last_hundred_is_enough(void *arg)
{
    struct calm__failures failures = {.most = 50};
    check_equal(add(&failures, 49, true), 0);
    check_equal(add(&failures, 1000, false), 0);
    check_equal(failures.failed, 0);
    check_equal(add(&failures, 100, true), 50);
    return 0;
}

static int old_failures_are_forgotten(void *arg)
{
    struct calm__failures failures = {.most = 50};
    for (int i = 0; i < 500; i++) {
        check_equal(add(&failures, 1, true), 0);
        check_equal(add(&failures, 2, false), 0);
    }
    check_equal(failures.total, 1500);
    check_equal(failures.answered, 1000);
    check(failures.failed >= 33 && failures.failed <= 34);
    return 0;
}

static int one_can_be_too_many_and_none_ever(void *arg)
{
    struct calm__failures one = {.most = 1};
    check_equal(add(&one, 10, false), 0);
    check_equal(add(&one, 10, true), 1);
    struct calm__failures never = {.most = CALM__FAILURES_WINDOW + 1};
    check_equal(add(&never, 1000, true), 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(half_of_the_last_hundred_is_enough),
        pure_test(old_failures_are_forgotten),
        pure_test(one_can_be_too_many_and_none_ever),
    };
    return run_list("failures", tests, sizeof tests / sizeof *tests);
}
