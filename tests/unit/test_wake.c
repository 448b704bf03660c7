/* test_wake.c - the word beside the eventfd */
#include "unit.h"

#include "base/fault.h"
#include "host/wake.h"

#include <errno.h>
#include <poll.h>

static bool rung(const struct calm__wake *wake)
{
    struct pollfd poll_fd = {.fd = wake->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void a_ring_of_a_sleeper_is_an_event(void **state)
{
    struct calm__wake wake;
    assert_int_equal(calm__wake_open(&wake), 0);
    assert_true(calm__wake_sleep(&wake));
    assert_false(rung(&wake));
    calm__wake_ring(&wake);
    assert_true(rung(&wake));
    calm__wake_rise(&wake);
    assert_true(calm__wake_sleep(&wake));
    calm__wake_close(&wake);
}

static void a_ring_while_awake_keeps_from_sleeping_once(void **state)
{
    struct calm__wake wake;
    assert_int_equal(calm__wake_open(&wake), 0);
    calm__wake_ring(&wake);
    calm__wake_ring(&wake);
    assert_false(rung(&wake));
    assert_false(calm__wake_sleep(&wake));
    assert_true(calm__wake_sleep(&wake));
    calm__wake_close(&wake);
}

static void a_ring_leaves_errno_alone(void **state)
{
    struct calm__wake wake = {.fd = -1};
    atomic_init(&wake.state, 0);
    assert_true(calm__wake_sleep(&wake));
    errno = ENOTTY;
    calm__wake_ring(&wake); /* the write fails with EBADF */
    assert_int_equal(errno, ENOTTY);
}

static void without_descriptors_opening_fails(void **state)
{
    struct calm__wake wake;
    calm__fault_arm("eventfd", 1);
    assert_int_equal(calm__wake_open(&wake), -EMFILE);
    calm__fault_disarm();
    calm__wake_close(&wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_of_a_sleeper_is_an_event),
        cmocka_unit_test(a_ring_while_awake_keeps_from_sleeping_once),
        cmocka_unit_test(a_ring_leaves_errno_alone),
        cmocka_unit_test(without_descriptors_opening_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
