/* test_uring.c - what only the ring has: queues that fill up and overflow */
#include "both_backends.h"

#include "bare_loop.h"
#include "base/fault.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MANY = 6000, /* more than the submission queue, and than the completions */
};

static int fds[MANY];
static struct counted waits[MANY];

static int open_many(void **state)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    bare_open(&calm__uring_methods);
    for (int i = 0; i < MANY; i++)
        fds[i] = -1;
    return 0;
}

static int close_many(void **state)
{
    for (int i = 0; i < MANY; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    bare_close();
    return 0;
}

static void start_many(void)
{
    for (int i = 0; i < MANY; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fds[i] < 0)
            skip();
        waits[i] = wait_for(CALM__OP_READABLE, fds[i]);
        start(&waits[i]);
    }
    turn(0);
}

static void completions_beyond_the_queue_are_not_lost(void **state)
{
    start_many();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(write(fds[i], &(uint64_t){1}, 8), 8);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(finish(&waits[i]), 0);
    nothing_is_in_flight();
}

static void cancels_beyond_the_queue_are_not_lost(void **state)
{
    start_many();
    for (int i = 0; i < MANY; i++)
        cancel(&waits[i]);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(finish(&waits[i]), -ECANCELED);
    nothing_is_in_flight();
}

static void closing_cancels_and_sees_what_is_in_flight(void **state)
{
    start_many();
    backend->methods->close(backend);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(waits[i].done, 1);
        assert_int_equal(waits[i].op.result, -ECANCELED);
    }
    assert_int_equal(calm__uring_methods.open(loop, &backend), 0);
    loop->backend = backend;
}

static void failing_set_up_leaves_nothing_behind(void **state)
{
    static const char *const places[] = {"io_uring", "eventfd", "memory"};
    int next_before = dup(0);
    close(next_before);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct calm__backend *none = NULL;
        calm__fault_arm(places[i], 1);
        assert_true(calm__uring_methods.open(loop, &none) < 0);
        calm__fault_disarm();
        assert_null(none);
    }
    int next_after = dup(0);
    close(next_after);
    assert_int_equal(next_after, next_before);
}

static void the_description_tells_the_mode_or_the_reason(void **state)
{
    struct calm__uring_report report;
    calm__uring_describe(&report);
    assert_int_equal(report.code, 0);
    assert_non_null(report.mode);
    calm__fault_arm("io_uring", 1);
    calm__uring_describe(&report);
    calm__fault_disarm();
    assert_int_equal(report.code, -ENOMEM);
    assert_null(report.mode);
    assert_non_null(report.hint);
}

int main(void)
{
    if (!run_if_uring_is_there())
        return 77;
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_many, close_many)
    const struct CMUnitTest tests[] = {
        TEST(completions_beyond_the_queue_are_not_lost),
        TEST(cancels_beyond_the_queue_are_not_lost),
        TEST(closing_cancels_and_sees_what_is_in_flight),
        TEST(failing_set_up_leaves_nothing_behind),
        TEST(the_description_tells_the_mode_or_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
