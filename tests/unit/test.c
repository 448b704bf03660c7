/* test.c - the harness of the tests that run inside of calm_run() */
#include "test.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
const bool test_sanitized = true;
static int leaks(void)
{
    return __lsan_do_recoverable_leak_check();
}
#else
const bool test_sanitized = false;
static int leaks(void)
{
    return 0;
}
#endif

const char *test_backend;
static const char *why_missing; /* NULL: the backend is there */
static atomic_int failed_checks;

static char last_report[CALM_MESSAGE_MAX];
static int reports;

/* ---- checks ---- */

/* Counts a failure; the first few of a test are worth printing. */
static bool failure_counts(void)
{
    return atomic_fetch_add(&failed_checks, 1) < 8;
}

bool test_check(bool good, const char *file, int line, const char *what)
{
    if (!good && failure_counts())
        fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
    return good;
}

bool test_check_equal(long long actual, long long expected, const char *file,
    int line, const char *what)
{
    if (actual == expected)
        return true;
    if (failure_counts())
        fprintf(stderr, "%s:%d: %s is %lld and not %lld\n", file, line, what,
            actual, expected);
    return false;
}

bool test_check_text(const char *actual, const char *expected, const char *file,
    int line, const char *what)
{
    if (strcmp(actual, expected) == 0)
        return true;
    if (failure_counts())
        fprintf(stderr, "%s:%d: %s is '%s' and not '%s'\n", file, line, what,
            actual, expected);
    return false;
}

bool test_check_contains(const char *text, const char *part, const char *file,
    int line, const char *what)
{
    if (strstr(text, part))
        return true;
    if (failure_counts())
        fprintf(stderr, "%s:%d: %s is '%s', without '%s'\n", file, line, what,
            text, part);
    return false;
}

/* ---- runs ---- */

static void keep_report(void *ctx, const char *text)
{
    snprintf(last_report, sizeof last_report, "%s", text);
    reports++;
}

const char *test_report(void)
{
    return last_report;
}

int test_report_count(void)
{
    return reports;
}

int run_opts(calm_fn *fn, void *arg, calm_run_opts opts)
{
    opts.backend = test_backend;
    opts.report = keep_report;
    return calm_run_with(fn, arg, &opts);
}

int run_virtual(calm_fn *fn, void *arg)
{
    return run_opts(fn, arg, (calm_run_opts){.virtual_clock = true});
}

int run_real(calm_fn *fn, void *arg)
{
    return run_opts(fn, arg, (calm_run_opts){.virtual_clock = false});
}

static int test_run(const struct test *test)
{
    if (test->kind == TEST_VIRTUAL)
        return run_virtual(test->body, NULL);
    if (test->kind == TEST_REAL)
        return run_real(test->body, NULL);
    return test->body(NULL);
}

static void test_case(void **state)
{
    const struct test *test = *state;
    if (why_missing && test->kind != TEST_PURE) {
        print_message("%s is skipped: %s\n", test->name, why_missing);
        skip();
    }
    atomic_store(&failed_checks, 0);
    last_report[0] = '\0';
    reports = 0;
    int rc = test_run(test);
    if (rc < 0)
        print_error("%s returned %s: %s\n", test->name, calm_code_name(rc),
            calm_message(rc));
    calm_error_clear();
    assert_int_equal(rc, 0);
    assert_int_equal(atomic_load(&failed_checks), 0);
    assert_int_equal(leaks(), 0);
}

static int nothing(void *arg)
{
    return 0;
}

static void backend_choose(const char *name)
{
    static char why[CALM_MESSAGE_MAX];
    test_backend = name;
    int rc = run_real(nothing, NULL);
    snprintf(why, sizeof why, "%s", calm_message(rc));
    why_missing = rc < 0 ? why : NULL;
    calm_error_clear();
}

static int run_on(const char *name, const struct test *tests, size_t count,
    const char *backend, bool with_pure)
{
    backend_choose(backend);
    struct CMUnitTest *cases = calloc(count + 1, sizeof *cases);
    size_t chosen = 0;
    for (size_t i = 0; cases && i < count; i++)
        if (with_pure || tests[i].kind != TEST_PURE)
            cases[chosen++] = (struct CMUnitTest){.name = tests[i].name,
                .test_func = test_case,
                .initial_state = (void *)&tests[i]};
    char title[64];
    snprintf(title, sizeof title, "%s on %s", name, backend);
    /* What cmocka_run_group_tests_name() does for an array of known size. */
    int failed =
        chosen ? _cmocka_run_group_tests(title, cases, chosen, NULL, NULL) : 0;
    free(cases);
    return failed;
}

int run_list(const char *name, const struct test *tests, size_t count)
{
    static const char *const backends[] = {"epoll", "io_uring"};
    const char *only = getenv("TEST_BACKEND");
    int failed = 0;
    bool with_pure = true;
    for (size_t i = 0; i < 2; i++) {
        if (only && strcmp(only, backends[i]) != 0)
            continue;
        failed += run_on(name, tests, count, backends[i], with_pure);
        with_pure = false;
    }
    return failed;
}

/* ---- children ---- */

int run_child(void (*fn)(void), char *text, size_t size)
{
    int ends[2];
    text[0] = '\0';
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while (
        len + 1 < size && (got = read(ends[0], text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(ends[0]);
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

/* ---- tasks that many tests need ---- */

int return_number(void *arg)
{
    return (int)(intptr_t)arg;
}

int sleep_ms(void *arg)
{
    intptr_t ms = (intptr_t)arg;
    return calm_sleep(ms ? ms * CALM_MS : CALM_FOREVER);
}

int fail_saying(void *arg)
{
    return calm_fail(-EIO, "%s", (const char *)arg);
}

int64_t ms_since(int64_t start)
{
    return (calm_now() - start) / CALM_MS;
}
