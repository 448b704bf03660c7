/* test.h - tests that run inside of calm_run(), on both backends
 *
 * cmocka's assert_* jump out of the test, which must not happen on a task's
 * stack: the scopes and the other tasks would stay behind. check() only notes
 * what is wrong, and the test fails when its run has ended.
 *
 *     static int sleeper_returns_when_cancelled(void *arg)
 *     {
 *         ...
 *         check_equal(calm_await(task, &result), 0);
 *         return 0;
 *     }
 *
 *     int main(void)
 *     {
 *         static const struct test tests[] = {
 *             virtual_test(sleeper_returns_when_cancelled),
 *         };
 *         return run_list("task", tests, sizeof tests / sizeof *tests);
 *     }
 *
 * The list runs once on io_uring and once on epoll; where the machine lacks
 * one its tests are reported as skipped. TEST_BACKEND chooses a single one.
 */
#ifndef CALM_TESTS_TEST_H
#define CALM_TESTS_TEST_H

#include <calm.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum test_kind {
    TEST_VIRTUAL, /* the main task of a run with a virtual clock */
    TEST_REAL,    /* the same with the kernel's clock */
    TEST_PLAIN,   /* called outside of a run; begins its own */
    TEST_PURE,    /* the same, and needs no backend: it is called once */
};

struct test {
    const char *name;
    int (*body)(void *arg); /* is to return 0; ARG is NULL */
    enum test_kind kind;
};

#define virtual_test(name)                                                     \
    {                                                                          \
#name, name, TEST_VIRTUAL                                              \
    }
#define real_test(name)                                                        \
    {                                                                          \
#name, name, TEST_REAL                                                 \
    }
#define plain_test(name)                                                       \
    {                                                                          \
#name, name, TEST_PLAIN                                                \
    }
#define pure_test(name)                                                        \
    {                                                                          \
#name, name, TEST_PURE                                                 \
    }

/* Runs the list on each backend. Returns how many failed: main's result. */
int run_list(const char *name, const struct test *tests, size_t count);

/* A run of one's own, on the backend of the test, with a virtual or a real
 * clock. Reports are kept for test_report(). */
int run_virtual(calm_fn *fn, void *arg);
int run_real(calm_fn *fn, void *arg);
int run_opts(calm_fn *fn, void *arg, calm_run_opts opts);

/* The last report of a run in this test, "" if there was none, and how many
 * there were. */
const char *test_report(void);
int test_report_count(void);

/* The backend that the list is running on. */
extern const char *test_backend;

/* Built with the address sanitizer: memory and stacks cost several times as
 * much, and overflows are its to report. */
extern const bool test_sanitized;

/* Runs FN in a process of its own; returns its status as waitpid() gives it,
 * and in TEXT what it wrote to stderr. */
int run_child(void (*fn)(void), char *text, size_t size);

/* They return whether it held. Any thread. */
#define check(condition) test_check((condition), __FILE__, __LINE__, #condition)
#define check_equal(actual, expected)                                          \
    test_check_equal((actual), (expected), __FILE__, __LINE__, #actual)
#define check_text(actual, expected)                                           \
    test_check_text((actual), (expected), __FILE__, __LINE__, #actual)
#define check_contains(text, part)                                             \
    test_check_contains((text), (part), __FILE__, __LINE__, #text)

bool test_check(bool good, const char *file, int line, const char *what);
bool test_check_equal(long long actual, long long expected, const char *file,
    int line, const char *what);
bool test_check_text(const char *actual, const char *expected, const char *file,
    int line, const char *what);
bool test_check_contains(const char *text, const char *part, const char *file,
    int line, const char *what);

/* ---- tasks that many tests need ---- */

/* Returns ARG as a number. */
int return_number(void *arg);

/* Sleeps for ARG milliseconds, for ever when 0, and returns what that gave. */
int sleep_ms(void *arg);

/* Fails with -EIO and the sentence ARG. */
int fail_saying(void *arg);

/* Milliseconds of the clock since START, a calm_now(), rounded down. */
int64_t ms_since(int64_t start);

static inline void *number(intptr_t value)
{
    return (void *)value;
}

#endif
