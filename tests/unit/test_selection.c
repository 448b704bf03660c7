/* test_selection.c - sets of rows, beside a map with a byte for each row */
#include "test.h"

#include "fail_alloc.h"
#include "ml/selection.h"

#include <string.h>

enum { ROWS = 400 };

static void check_items(
    const struct calm__selection *selection, const char *expected)
{
    char text[1024] = "";
    size_t len = 0;
    for (size_t i = 0; i < selection->count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%llu-%llu ",
            (unsigned long long)selection->items[i].begin,
            (unsigned long long)selection->items[i].end);
    check_text(text, expected);
}

static int what_touches_is_merged(void *arg)
{
    struct calm__selection selection = {0};
    check_equal(calm__selection_add(&selection, 5, 7), 0);
    check_equal(calm__selection_add(&selection, 7, 9), 0);
    check_equal(calm__selection_add(&selection, 6, 8), 0);
    check_equal(calm__selection_add(&selection, 12, 12), 0);
    check_items(&selection, "5-9 ");
    check_equal(calm__selection_add(&selection, 0, 2), 0);
    check_equal(calm__selection_add(&selection, 2, 5), 0);
    calm__selection_sort(&selection);
    check_items(&selection, "0-9 ");
    check_equal(calm__selection_size(&selection), 9);
    calm__selection_clear(&selection);
    return 0;
}

static int an_order_that_never_merges_stays_small(void *arg)
{
    struct calm__selection selection = {0};
    for (uint64_t i = 0; i < 200000; i++) { /* pairs, the second first */
        uint64_t row = i ^ 1;
        check_equal(calm__selection_add(&selection, row, row + 1), 0);
    }
    check(selection.room <= 128);
    calm__selection_sort(&selection);
    check_items(&selection, "0-200000 ");
    calm__selection_clear(&selection);
    return 0;
}

static uint64_t seed = 1;

static uint64_t upto(uint64_t most)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % most;
}

static void fill(struct calm__selection *selection, bool *map, int count)
{
    memset(map, 0, ROWS);
    *selection = (struct calm__selection){0};
    for (int i = 0; i < count; i++) {
        uint64_t begin = upto(ROWS), end = begin + upto(ROWS - begin + 1);
        if (end > begin + 20)
            end = begin + 20;
        check_equal(calm__selection_add(selection, begin, end), 0);
        for (uint64_t row = begin; row < end; row++)
            map[row] = true;
    }
    calm__selection_sort(selection);
}

/* The rows by calm__selection_next(), as they are skipped and taken. */
static void check_map(struct calm__selection *selection, const bool *map)
{
    struct calm__interval rows;
    uint64_t position = 0, size = 0;
    while (calm__selection_next(selection, position, &rows)) {
        for (; position < rows.begin; position++)
            check(!map[position]);
        uint64_t end = position + 1 + upto(rows.end - position);
        for (; position < end; position++, size++)
            check(map[position]);
    }
    for (; position < ROWS; position++)
        check(!map[position]);
    check_equal(calm__selection_size(selection), (long long)size);
}

static int the_rest_is_what_is_not_done(void *arg)
{
    bool wanted[ROWS], done[ROWS];
    for (int round = 0; round < 2000; round++) {
        struct calm__selection base, without, rest;
        fill(&base, wanted, round % 40);
        fill(&without, done, (int)upto(40));
        check_equal(calm__selection_without(&base, &without, &rest), 0);
        check_map(&base, wanted);
        for (int row = 0; row < ROWS; row++)
            wanted[row] = wanted[row] && !done[row];
        check_map(&rest, wanted);
        check_equal(rest.sorted, (long long)rest.count);
        calm__selection_clear(&base);
        calm__selection_clear(&without);
        calm__selection_clear(&rest);
    }
    return 0;
}

static int all_rows_have_no_end(void *arg)
{
    struct calm__selection all = {0}, done = {0}, rest;
    check_equal(calm__selection_add(&all, 0, CALM__ALL_ROWS), 0);
    check_equal(calm__selection_add(&done, 10, 20), 0);
    check_equal(calm__selection_without(&all, &done, &rest), 0);
    check_items(&rest, "0-10 20-18446744073709551615 ");
    struct calm__interval rows;
    check(calm__selection_next(&rest, UINT64_MAX - 1, &rows));
    check(!calm__selection_next(&rest, UINT64_MAX, &rows));
    calm__selection_clear(&all);
    calm__selection_clear(&done);
    calm__selection_clear(&rest);
    return 0;
}

static int without_memory_nothing_changes(void *arg)
{
    struct calm__selection base = {0}, done = {0}, rest = {0};
    for (uint64_t i = 0; i < 100; i++) {
        check_equal(calm__selection_add(&base, 10 * i, 10 * i + 5), 0);
        check_equal(calm__selection_add(&done, 10 * i + 2, 10 * i + 3), 0);
    }
    for (int n = 1; fail_alloc_begin(n); n++) {
        int rc = calm__selection_without(&base, &done, &rest);
        check_equal(rc, fail_alloc_end() ? -ENOMEM : 0);
        check_equal(rest.count, rc < 0 ? 0 : 200);
    }
    check_equal(calm__selection_size(&rest), 400);
    calm__selection_clear(&base);
    calm__selection_clear(&done);
    calm__selection_clear(&rest);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(what_touches_is_merged),
        pure_test(an_order_that_never_merges_stays_small),
        pure_test(the_rest_is_what_is_not_done),
        pure_test(all_rows_have_no_end),
        pure_test(without_memory_nothing_changes),
    };
    return run_list("selection", tests, sizeof tests / sizeof *tests);
}
