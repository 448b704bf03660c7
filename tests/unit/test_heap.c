/* test_heap.c - deadlines come out in order, equal ones as they went in */
#include "test.h"

#include "base/fault.h"
#include "base/heap.h"
#include "base/random.h"

enum { COUNT = 2000 };

static struct calm__timer *take_first(struct calm__heap *heap)
{
    struct calm__timer *timer = calm__heap_first(heap);
    if (timer)
        calm__heap_remove(heap, timer);
    return timer;
}

static int deadlines_come_out_in_order(void *arg)
{
    static struct calm__timer timers[COUNT];
    for (int range = 1; range < 1000000; range *= 10) {
        struct calm__heap heap = {0};
        check_equal(calm__heap_reserve(&heap, COUNT), 0);
        for (int i = 0; i < COUNT; i++) {
            timers[i] =
                (struct calm__timer){.deadline = calm__random_upto(range)};
            calm__heap_insert(&heap, &timers[i]);
        }
        struct calm__timer *last = NULL, *timer;
        int count = 0;
        for (; (timer = take_first(&heap)); last = timer, count++) {
            check_equal(timer->index, 0);
            /* The array is in the order of the inserts. */
            check(!last || last->deadline < timer->deadline ||
                  (last->deadline == timer->deadline && last < timer));
        }
        check_equal(count, COUNT);
        calm__heap_clear(&heap);
    }
    return 0;
}

/* Against a plain array, with removals from the middle. */
static int heap_agrees_with_a_search_of_all(void *arg)
{
    static struct calm__timer timers[200];
    bool inside[200] = {false};
    struct calm__heap heap = {0};
    calm__random_seed(20);
    memset(timers, 0, sizeof timers);
    for (int step = 0; step < 20000; step++) {
        int i = (int)calm__random_upto(199);
        if (inside[i]) {
            calm__heap_remove(&heap, &timers[i]);
        } else {
            timers[i].deadline = calm__random_upto(50) - 25;
            check_equal(calm__heap_reserve(&heap, heap.count + 1), 0);
            calm__heap_insert(&heap, &timers[i]);
        }
        inside[i] = !inside[i];
        int64_t least = INT64_MAX;
        uint32_t count = 0;
        for (int k = 0; k < 200; k++) {
            check_equal(timers[k].index != 0, inside[k]);
            count += inside[k];
            if (inside[k] && timers[k].deadline < least)
                least = timers[k].deadline;
        }
        check_equal(heap.count, count);
        struct calm__timer *first = calm__heap_first(&heap);
        check_equal(first ? first->deadline : INT64_MAX, least);
    }
    calm__heap_clear(&heap);
    return 0;
}

static int removing_what_is_not_in_does_nothing(void *arg)
{
    struct calm__heap heap = {0};
    struct calm__timer a = {.deadline = 1}, b = {.deadline = 2};
    check(calm__heap_first(&heap) == NULL);
    calm__heap_remove(&heap, &a);
    check_equal(calm__heap_reserve(&heap, 2), 0);
    calm__heap_insert(&heap, &a);
    calm__heap_remove(&heap, &b);
    check(calm__heap_first(&heap) == &a);
    calm__heap_remove(&heap, &a);
    calm__heap_remove(&heap, &a);
    check_equal(heap.count, 0);
    calm__heap_clear(&heap);
    return 0;
}

static int reserve_fails_cleanly(void *arg)
{
    struct calm__heap heap = {0};
    struct calm__timer timer = {.deadline = 1};
    calm__fault_arm("memory", 1);
    check_equal(calm__heap_reserve(&heap, 1), -ENOMEM);
    calm__fault_disarm();
    check_equal(calm__heap_reserve(&heap, SIZE_MAX / 2), -ENOMEM);
    check_equal(calm__heap_reserve(&heap, 1), 0);
    calm__heap_insert(&heap, &timer);
    check(calm__heap_first(&heap) == &timer);
    calm__heap_clear(&heap);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(deadlines_come_out_in_order),
        pure_test(heap_agrees_with_a_search_of_all),
        pure_test(removing_what_is_not_in_does_nothing),
        pure_test(reserve_fails_cleanly),
    };
    return run_list("heap", tests, sizeof tests / sizeof *tests);
}
