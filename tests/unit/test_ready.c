/* test_ready.c - the table of who waits for which descriptor */
#include "unit.h"

#include "base/fault.h"
#include "host/ready.h"

#include <errno.h>

static struct calm__op reader_of(int fd)
{
    return (struct calm__op){.kind = CALM__OP_READABLE, .fd = fd};
}

static void one_waiter_for_each_direction(void **state)
{
    struct calm__ready ready = {0};
    struct calm__op reader = reader_of(5), second = reader_of(5);
    struct calm__op writer = {.kind = CALM__OP_WRITABLE, .fd = 5};
    assert_int_equal(calm__ready_add(&ready, &reader), 0);
    assert_int_equal(calm__ready_add(&ready, &second), -EBUSY);
    assert_int_equal(calm__ready_add(&ready, &writer), 0);
    struct calm__ready_entry *entry = calm__ready_find(&ready, 5);
    assert_ptr_equal(entry->waiting[CALM__READING], &reader);
    assert_ptr_equal(entry->waiting[CALM__WRITING], &writer);
    calm__ready_clear(&ready);
}

static void only_the_waiter_itself_is_removed(void **state)
{
    struct calm__ready ready = {0};
    struct calm__op reader = reader_of(5), second = reader_of(5);
    assert_int_equal(calm__ready_add(&ready, &reader), 0);
    calm__ready_remove(&ready, &second);
    assert_int_equal(calm__ready_add(&ready, &second), -EBUSY);
    calm__ready_remove(&ready, &reader);
    assert_int_equal(calm__ready_add(&ready, &second), 0);
    calm__ready_clear(&ready);
}

static void high_and_absent_numbers_are_found_or_not(void **state)
{
    struct calm__ready ready = {0};
    struct calm__op high = reader_of(70000), negative = reader_of(-1);
    assert_null(calm__ready_find(&ready, 0));
    assert_int_equal(calm__ready_add(&ready, &negative), -EBADF);
    assert_int_equal(calm__ready_add(&ready, &high), 0);
    assert_non_null(calm__ready_find(&ready, 70000));
    assert_null(calm__ready_find(&ready, 69999)->waiting[CALM__READING]);
    assert_null(calm__ready_find(&ready, 1 << 20));
    assert_null(calm__ready_find(&ready, -1));
    calm__ready_clear(&ready);
}

static void without_memory_the_table_stays_as_it_was(void **state)
{
    struct calm__ready ready = {0};
    struct calm__op low = reader_of(3), high = reader_of(3000);
    assert_int_equal(calm__ready_add(&ready, &low), 0);
    calm__fault_arm("memory", 1);
    assert_int_equal(calm__ready_add(&ready, &high), -ENOMEM);
    calm__fault_disarm();
    assert_ptr_equal(calm__ready_find(&ready, 3)->waiting[CALM__READING], &low);
    calm__ready_clear(&ready);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_waiter_for_each_direction),
        cmocka_unit_test(only_the_waiter_itself_is_removed),
        cmocka_unit_test(high_and_absent_numbers_are_found_or_not),
        cmocka_unit_test(without_memory_the_table_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
