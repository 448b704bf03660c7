/* test_random.c - numbers that repeat when seeded and stay within limits */
#include "test.h"

#include "base/random.h"

static int seeded_numbers_repeat(void *arg)
{
    uint64_t numbers[100];
    calm__random_seed(7);
    for (int i = 0; i < 100; i++)
        numbers[i] = calm__random();
    calm__random_seed(7);
    for (int i = 0; i < 100; i++)
        check(calm__random() == numbers[i]);
    calm__random_seed(8);
    check(calm__random() != numbers[0]);
    return 0;
}

/* The published first value of splitmix64 for seed 1234567. */
static int generator_is_splitmix64(void *arg)
{
    calm__random_seed(1234567);
    check(calm__random() == UINT64_C(6457827717110365317));
    check(calm__random() == UINT64_C(3203168211198807973));
    return 0;
}

static int numbers_stay_within_the_limit_and_reach_it(void *arg)
{
    calm__random_seed(1);
    for (int64_t limit = 0; limit < 20; limit++) {
        int seen[20] = {0};
        for (int i = 0; i < 2000; i++) {
            int64_t value = calm__random_upto(limit);
            if (check(value >= 0 && value <= limit))
                seen[value]++;
        }
        for (int i = 0; i <= limit; i++)
            check(seen[i] > 2000 / (limit + 1) / 2);
    }
    for (int i = 0; i < 1000; i++)
        check(calm__random_upto(INT64_MAX) >= 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(seeded_numbers_repeat),
        pure_test(generator_is_splitmix64),
        pure_test(numbers_stay_within_the_limit_and_reach_it),
    };
    return run_list("random", tests, sizeof tests / sizeof *tests);
}
