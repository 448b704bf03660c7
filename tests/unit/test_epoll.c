/* test_epoll.c - what only epoll has: masks, a timer in place of a new call */
#include "both_backends.h"

#include "bare_loop.h"
#include "base/clock.h"
#include "base/fault.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];

static int open_all(void **state)
{
    bare_open(&calm__epoll_methods);
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
}

static int close_all(void **state)
{
    nothing_is_in_flight();
    bare_close();
    close(pair[0]);
    close(pair[1]);
    return 0;
}

/* The number of turns of a moment that ended because something happened. */
static int early_turns(int count)
{
    int early = 0;
    for (int i = 0; i < count; i++) {
        int64_t begin = calm__clock_now();
        turn(2 * CALM_MS);
        early += calm__clock_now() - begin < CALM_MS;
    }
    return early;
}

static void an_event_without_a_waiter_does_not_come_again(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&wait), 0);
    /* The byte stays unread, and then the peer goes. */
    assert_true(early_turns(5) <= 1);
    close(pair[1]);
    pair[1] = -1;
    assert_true(early_turns(5) <= 1);
    wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(finish(&wait), 0);
}

static void a_descriptor_closed_behind_our_back_is_added_again(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&wait), 0);
    int ends[2];
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(dup2(ends[0], pair[0]), pair[0]);
    wait = wait_for(CALM__OP_WRITABLE, pair[0]);
    start(&wait);
    assert_int_equal(finish(&wait), 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_timer_serves_where_epoll_pwait2_is_absent(void **state)
{
    calm__fault_arm("epoll_pwait2", 1);
    int64_t begin = calm__clock_now();
    for (int i = 0; i < 20; i++)
        turn(300 * CALM_US);
    assert_int_equal(calm__fault_disarm(), 1);
    int64_t lasted = calm__clock_now() - begin;
    assert_true(lasted >= 20 * 300 * CALM_US);
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&wait), 0);
}

static void files_fail_when_no_thread_can_be_had(void **state)
{
    char buffer[1];
    struct counted reads[2];
    for (int i = 0; i < 2; i++) {
        reads[i] = (struct counted){.op = {.kind = CALM__OP_READ,
                                        .fd = pair[0],
                                        .buffer = buffer,
                                        .size = 1}};
        start(&reads[i]);
    }
    calm__fault_arm("thread", 1);
    turn(0);
    calm__fault_disarm();
    for (int i = 0; i < 2; i++)
        assert_int_equal(finish(&reads[i]), -EAGAIN);
}

static void without_descriptors_opening_fails_and_leaves_nothing(void **state)
{
    struct calm__backend *none = NULL;
    calm__fault_arm("eventfd", 1);
    assert_int_equal(calm__epoll_methods.open(loop, &none), -EMFILE);
    calm__fault_arm("memory", 1);
    assert_int_equal(calm__epoll_methods.open(loop, &none), -ENOMEM);
    calm__fault_disarm();
    struct rlimit limit, low;
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t)dup(0);
    close((int)low.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &low);
    assert_int_equal(calm__epoll_methods.open(loop, &none), -EMFILE);
    low.rlim_cur++; /* room for the epoll, none for its eventfd */
    setrlimit(RLIMIT_NOFILE, &low);
    assert_int_equal(calm__epoll_methods.open(loop, &none), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_null(none);
    int next = dup(0);
    close(next);
    assert_int_equal(next, low.rlim_cur - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(an_event_without_a_waiter_does_not_come_again),
        TEST(a_descriptor_closed_behind_our_back_is_added_again),
        TEST(a_timer_serves_where_epoll_pwait2_is_absent),
        TEST(files_fail_when_no_thread_can_be_had),
        TEST(without_descriptors_opening_fails_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
