/* test_bytes.c - the buffer that grows */
#include <calm/bytes.h>

#include "fail_alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void empty_buffer_reads_as_empty_text(void **state)
{
    calm_bytes bytes = {0};
    assert_string_equal(calm_bytes_text(&bytes), "");
    calm_bytes_reset(&bytes);
    calm_bytes_consume(&bytes, 7);
    assert_int_equal(calm_bytes_append(&bytes, NULL, 0), 0);
    assert_string_equal(calm_bytes_text(&bytes), "");
    calm_bytes_clear(&bytes);
    assert_null(bytes.data);
}

static void content_is_always_followed_by_nul(void **state)
{
    calm_bytes bytes = {0};
    for (size_t i = 0; i < 1000; i++) {
        char c = (char)('a' + i % 26);
        assert_int_equal(calm_bytes_append(&bytes, &c, 1), 0);
        assert_int_equal(bytes.len, i + 1);
        assert_true(bytes.capacity > bytes.len);
        assert_int_equal(bytes.data[i], c);
        assert_int_equal(bytes.data[i + 1], 0);
    }
    calm_bytes_clear(&bytes);
}

static void reserved_room_is_filled_by_hand(void **state)
{
    calm_bytes bytes = {0};
    assert_int_equal(calm_bytes_append_text(&bytes, "ab"), 0);
    assert_int_equal(calm_bytes_reserve(&bytes, 100), 0);
    memset(bytes.data + bytes.len, 'x', 100);
    calm_bytes_advance(&bytes, 100);
    assert_int_equal(bytes.len, 102);
    assert_int_equal(strlen(calm_bytes_text(&bytes)), 102);
    calm_bytes_clear(&bytes);
}

static void printf_appends_at_every_fill_level(void **state)
{
    for (size_t before = 0; before < 200; before++) {
        calm_bytes bytes = {0};
        for (size_t i = 0; i < before; i++)
            assert_int_equal(calm_bytes_append(&bytes, "-", 1), 0);
        assert_int_equal(calm_bytes_printf(&bytes, "%d %s", 4711, "text"), 0);
        assert_int_equal(bytes.len, before + 9);
        assert_string_equal(bytes.data + before, "4711 text");
        calm_bytes_clear(&bytes);
    }
}

static void consumed_bytes_leave_at_the_front(void **state)
{
    calm_bytes bytes = {0};
    assert_int_equal(calm_bytes_append_text(&bytes, "header body"), 0);
    calm_bytes_consume(&bytes, 7);
    assert_string_equal(calm_bytes_text(&bytes), "body");
    calm_bytes_consume(&bytes, 100);
    assert_int_equal(bytes.len, 0);
    assert_string_equal(calm_bytes_text(&bytes), "");
    calm_bytes_clear(&bytes);
}

static void reset_keeps_the_memory(void **state)
{
    calm_bytes bytes = {0};
    assert_int_equal(calm_bytes_append_text(&bytes, "text"), 0);
    char *data = bytes.data;
    calm_bytes_reset(&bytes);
    assert_int_equal(bytes.len, 0);
    assert_int_equal(calm_bytes_append_text(&bytes, "more"), 0);
    assert_ptr_equal(bytes.data, data);
    calm_bytes_clear(&bytes);
}

static void sizes_that_overflow_are_refused(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4,
        PTRDIFF_MAX, (size_t)PTRDIFF_MAX - 1};
    calm_bytes bytes = {0};
    assert_int_equal(calm_bytes_append_text(&bytes, "text"), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(calm_bytes_reserve(&bytes, sizes[i]), -ENOMEM);
        assert_string_equal(calm_bytes_text(&bytes), "text");
    }
    calm_bytes_clear(&bytes);
}

static int fill(calm_bytes *bytes)
{
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = calm_bytes_printf(bytes, "%0100d", i);
    return rc;
}

static void failed_allocation_changes_nothing(void **state)
{
    for (int n = 1; fail_alloc_begin(n); n++) {
        calm_bytes bytes = {0};
        int rc = fill(&bytes);
        bool failed = fail_alloc_end();
        /* The sentence of the error is an allocation as well. */
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        assert_int_equal(bytes.len % 100, 0);
        assert_int_equal(strlen(calm_bytes_text(&bytes)), bytes.len);
        calm_bytes_clear(&bytes);
        calm_error_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buffer_reads_as_empty_text),
        cmocka_unit_test(content_is_always_followed_by_nul),
        cmocka_unit_test(reserved_room_is_filled_by_hand),
        cmocka_unit_test(printf_appends_at_every_fill_level),
        cmocka_unit_test(consumed_bytes_leave_at_the_front),
        cmocka_unit_test(reset_keeps_the_memory),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(failed_allocation_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
