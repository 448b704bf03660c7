/* cmocka.h - the part of cmocka that tests/unit/test.c needs, for machines
 * that cmocka is not packaged for
 */
#ifndef CALM_TESTS_CMOCKA_H
#define CALM_TESTS_CMOCKA_H

#include <stdio.h>

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    void *setup_func, *teardown_func;
    void *initial_state;
};

static jmp_buf cmocka_end;

enum { CMOCKA_FAILED = 1, CMOCKA_SKIPPED };

#define print_message printf
#define print_error printf
#define skip() longjmp(cmocka_end, CMOCKA_SKIPPED)
#define assert_int_equal(a, b)                                                 \
    ((a) == (b) ? (void)0 : longjmp(cmocka_end, CMOCKA_FAILED))

static inline int _cmocka_run_group_tests(const char *title,
    const struct CMUnitTest *tests, size_t count, void *setup, void *teardown)
{
    static const char *const ends[] = {"OK", "FAILED", "SKIPPED"};
    volatile int failed = 0;
    for (volatile size_t i = 0; i < count; i++) {
        void *state = tests[i].initial_state;
        printf("[ RUN      ] %s: %s\n", title, tests[i].name);
        fflush(stdout);
        int how = setjmp(cmocka_end);
        if (how == 0)
            tests[i].test_func(&state);
        failed += how == CMOCKA_FAILED;
        printf("[ %8s ] %s\n", ends[how], tests[i].name);
        fflush(stdout);
    }
    return failed;
}

#endif
