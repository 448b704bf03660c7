/* test_queue.c - order, bounds, close, and no item lost to a cancel */
#include "test.h"

struct user {
    calm_queue *queue;
    int item;
    int rc;
};

static int get_one(void *arg)
{
    struct user *user = arg;
    return user->rc = calm_queue_get(user->queue, &user->item);
}

static int put_one(void *arg)
{
    struct user *user = arg;
    return user->rc = calm_queue_put(user->queue, &user->item);
}

/* The end of a queue is no failure of its group. */
static int get_one_or_end(void *arg)
{
    int rc = get_one(arg);
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int put_one_or_end(void *arg)
{
    int rc = put_one(arg);
    return rc == -ESHUTDOWN ? 0 : rc;
}

static void queue_of_numbers(calm_queue *queue, size_t capacity)
{
    check_equal(calm_queue_init(queue, sizeof(int), capacity, NULL), 0);
}

static void put(calm_queue *queue, int item)
{
    check_equal(calm_queue_put(queue, &item), 0);
}

static int get(calm_queue *queue)
{
    int item = -1;
    int rc = calm_queue_get(queue, &item);
    return rc < 0 ? rc : item;
}

static int try_get(calm_queue *queue)
{
    int item = -1;
    int rc = calm_queue_try_get(queue, &item);
    return rc < 0 ? rc : item;
}

static int items_come_out_as_they_went_in(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 0);
    int next = 0;
    for (int i = 0; i < 1000; i++) {
        put(&queue, i);
        if (i % 3 == 0)
            check_equal(get(&queue), next++);
    }
    check_equal(calm_queue_size(&queue), 1000 - next);
    while (next < 1000)
        check_equal(get(&queue), next++);
    check_equal(try_get(&queue), -EAGAIN);
    calm_queue_clear(&queue);
    return 0;
}

static int lifo_gives_the_newest(void *arg)
{
    calm_queue queue;
    check_equal(calm_queue_init(&queue, sizeof(int), 0,
                    &(calm_queue_opts){.order = CALM_LIFO}),
        0);
    for (int i = 0; i < 100; i++)
        put(&queue, i);
    check_equal(get(&queue), 99);
    put(&queue, 1000);
    check_equal(get(&queue), 1000);
    for (int i = 98; i >= 0; i--)
        check_equal(get(&queue), i);
    calm_queue_clear(&queue);
    return 0;
}

struct job {
    int urgency, number;
};

static int compare_jobs(const void *a, const void *b)
{
    return ((const struct job *)a)->urgency - ((const struct job *)b)->urgency;
}

static int priority_keeps_the_order_of_equals(void *arg)
{
    calm_queue queue;
    check_equal(calm_queue_init(&queue, sizeof(struct job), 0,
                    &(calm_queue_opts){CALM_PRIORITY, compare_jobs}),
        0);
    for (int i = 0; i < 500; i++) {
        struct job job = {i * 7919 % 10, i};
        check_equal(calm_queue_put(&queue, &job), 0);
    }
    struct job last = {-1, -1}, job;
    for (int i = 0; i < 500; i++) {
        check_equal(calm_queue_get(&queue, &job), 0);
        check(job.urgency > last.urgency ||
              (job.urgency == last.urgency && job.number > last.number));
        last = job;
    }
    calm_queue_clear(&queue);
    return 0;
}

static int odd_sizes_are_copied_whole(void *arg)
{
    static const size_t sizes[] = {1, 3, 7, 8, 9, 15, 16, 17, 100, 4096};
    unsigned char in[4096], out[4097];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int order = CALM_FIFO; order <= CALM_LIFO; order++) {
            calm_queue queue;
            check_equal(calm_queue_init(&queue, sizes[s], 2,
                            &(calm_queue_opts){.order = order}),
                0);
            for (size_t i = 0; i < sizes[s]; i++)
                in[i] = (unsigned char)(i * 31 + s);
            out[sizes[s]] = 0xaa;
            check_equal(calm_queue_put(&queue, in), 0);
            check_equal(calm_queue_get(&queue, out), 0);
            check(memcmp(in, out, sizes[s]) == 0);
            check_equal(out[sizes[s]], 0xaa);
            calm_queue_clear(&queue);
        }
    }
    return 0;
}

static int senseless_queues_are_refused(void *arg)
{
    calm_queue queue;
    check_equal(calm_queue_init(&queue, 0, 1, NULL), -EINVAL);
    check_equal(calm_queue_init(&queue, SIZE_MAX / 2, 1, NULL), -EINVAL);
    check_equal(calm_queue_init(
                    &queue, 4, 1, &(calm_queue_opts){.order = CALM_PRIORITY}),
        -EINVAL);
    calm_error_clear();
    return 0;
}

static int full_queue_holds_the_putter_back(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 2);
    put(&queue, 1);
    put(&queue, 2);
    int item = 3;
    check_equal(calm_queue_try_put(&queue, &item), -EAGAIN);
    calm_group group;
    calm_group_begin(&group);
    struct user users[2] = {{&queue, 3, 1}, {&queue, 4, 1}};
    for (int i = 0; i < 2; i++)
        calm_spawn(&group, put_one, &users[i]);
    calm_sleep(CALM_MS);
    check_equal(users[0].rc, 1);
    check_equal(get(&queue), 1);
    /* The room is the waiter's: nobody gets in between. */
    check_equal(calm_queue_try_put(&queue, &item), -EAGAIN);
    calm_checkpoint();
    check_equal(users[0].rc, 0);
    check_equal(users[1].rc, 1);
    for (int i = 2; i <= 4; i++)
        check_equal(get(&queue), i);
    calm_queue_clear(&queue);
    return calm_group_end(&group, 0);
}

/* ---- cancels ---- */

static int item_of_a_cancelled_getter_is_first_for_the_next(void *arg)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        calm_queue queue;
        queue_of_numbers(&queue, 0);
        struct user b = {&queue, 0, 1}, c = b;
        calm_group group;
        calm_group_begin(&group);
        calm_task *b_task = calm_spawn(&group, get_one, &b);
        calm_spawn(&group, get_one, &c);
        calm_checkpoint();
        if (cancel_first)
            calm_cancel(b_task);
        put(&queue, 7);
        calm_cancel(b_task);
        put(&queue, 8);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(b.rc, -ECANCELED);
        check_equal(c.item, 7);
        check_equal(get(&queue), 8);
        calm_queue_clear(&queue);
    }
    return 0;
}

static int item_of_the_only_getter_cancelled_stays(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 0);
    struct user user = {&queue, -5, 1};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, get_one, &user);
    calm_checkpoint();
    put(&queue, 1);
    put(&queue, 2);
    calm_cancel(task);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(user.item, -5);
    check_equal(get(&queue), 1);
    check_equal(get(&queue), 2);
    calm_queue_clear(&queue);
    return 0;
}

static int room_of_a_cancelled_putter_goes_to_the_next(void *arg)
{
    for (int get_first = 0; get_first < 2; get_first++) {
        calm_queue queue;
        queue_of_numbers(&queue, 1);
        put(&queue, 1);
        struct user b = {&queue, 2, 1}, c = {&queue, 3, 1};
        calm_group group;
        calm_group_begin(&group);
        calm_task *b_task = calm_spawn(&group, put_one, &b);
        calm_spawn(&group, put_one, &c);
        calm_checkpoint();
        if (get_first)
            check_equal(try_get(&queue), 1);
        calm_cancel(b_task);
        if (!get_first)
            check_equal(try_get(&queue), 1);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(b.rc, -ECANCELED);
        check_equal(c.rc, 0);
        check_equal(calm_queue_size(&queue), 1);
        check_equal(get(&queue), 3);
        calm_queue_clear(&queue);
    }
    return 0;
}

/* ---- close ---- */

static int recv_after_close_drains_then_fails(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 0);
    put(&queue, 1);
    put(&queue, 2);
    calm_queue_close(&queue);
    calm_queue_close(&queue);
    int item = 3;
    check_equal(calm_queue_put(&queue, &item), -ESHUTDOWN);
    check_equal(calm_queue_try_put(&queue, &item), -ESHUTDOWN);
    check_equal(get(&queue), 1);
    check_equal(try_get(&queue), 2);
    check_equal(get(&queue), -ESHUTDOWN);
    check_equal(try_get(&queue), -ESHUTDOWN);
    calm_queue_clear(&queue);
    return 0;
}

static int close_wakes_all_getters_and_putters(void *arg)
{
    calm_queue empty, full;
    queue_of_numbers(&empty, 0);
    queue_of_numbers(&full, 1);
    put(&full, 1);
    struct user getters[3], putters[3];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++) {
        getters[i] = (struct user){&empty, 0, 1};
        putters[i] = (struct user){&full, 0, 1};
        calm_spawn(&group, get_one_or_end, &getters[i]);
        calm_spawn(&group, put_one_or_end, &putters[i]);
    }
    calm_sleep(CALM_MS);
    calm_queue_close(&empty);
    calm_queue_close(&full);
    check_equal(calm_group_end(&group, 0), 0);
    for (int i = 0; i < 3; i++) {
        check_equal(getters[i].rc, -ESHUTDOWN);
        check_equal(putters[i].rc, -ESHUTDOWN);
    }
    check_equal(get(&full), 1);
    check_equal(get(&full), -ESHUTDOWN);
    calm_queue_clear(&empty);
    calm_queue_clear(&full);
    return 0;
}

static int close_between_grant_and_step_of_a_putter(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 1);
    put(&queue, 1);
    struct user user = {&queue, 2, 1};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, put_one_or_end, &user);
    calm_checkpoint();
    check_equal(try_get(&queue), 1);
    calm_queue_close(&queue);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(user.rc, -ESHUTDOWN);
    check_equal(get(&queue), -ESHUTDOWN);
    calm_queue_clear(&queue);
    return 0;
}

/* A has the right to the last item and B waits when the queue is closed; then
 * A is cancelled: the queue was not drained yet, and the item is B's. */
static int item_of_a_cancelled_getter_survives_a_close(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 0);
    struct user a = {&queue, 0, 1}, b = a;
    calm_group group;
    calm_group_begin(&group);
    calm_task *a_task = calm_spawn(&group, get_one_or_end, &a);
    calm_spawn(&group, get_one_or_end, &b);
    calm_checkpoint();
    put(&queue, 5);
    calm_queue_close(&queue);
    calm_cancel(a_task);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(a.rc, -ECANCELED);
    check_equal(b.rc, 0);
    check_equal(b.item, 5);
    check_equal(calm_queue_size(&queue), 0);
    calm_queue_clear(&queue);
    return 0;
}

/* The same for one who asks after the close. */
static int getter_after_close_waits_for_what_another_may_leave(void *arg)
{
    for (int cancel = 0; cancel < 2; cancel++) {
        calm_queue queue;
        queue_of_numbers(&queue, 0);
        struct user a = {&queue, 0, 1};
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, get_one_or_end, &a);
        calm_checkpoint();
        put(&queue, 5);
        calm_queue_close(&queue);
        struct user b = {&queue, 0, 1}, c = b;
        check_equal(try_get(&queue), -EAGAIN);
        if (cancel) {
            calm_release(calm_spawn(&group, get_one_or_end, &b));
            calm_release(calm_spawn(&group, get_one_or_end, &c));
            calm_cancel(task); /* before they asked: it is free for all */
        } else {
            /* Asks while A still has the right, as the first to run. */
            check_equal(get(&queue), -ESHUTDOWN);
        }
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(a.rc, cancel ? -ECANCELED : 0);
        if (cancel) {
            check_equal(b.item, 5);
            check_equal(c.rc, -ESHUTDOWN);
        }
        calm_queue_clear(&queue);
    }
    return 0;
}

/* ---- done and join ---- */

static int join(void *arg)
{
    struct user *user = arg;
    return user->rc = calm_queue_join(user->queue);
}

static int join_waits_until_all_is_done(void *arg)
{
    calm_queue queue;
    queue_of_numbers(&queue, 0);
    check_equal(calm_queue_join(&queue), 0);
    check_equal(calm_queue_done(&queue), -EINVAL);
    calm_error_clear();
    put(&queue, 1);
    put(&queue, 2);
    struct user users[3] = {{&queue, 0, 1}, {&queue, 0, 1}, {&queue, 0, 1}};
    calm_group group;
    calm_group_begin(&group);
    calm_task *cancelled = calm_spawn(&group, join, &users[0]);
    calm_spawn(&group, join, &users[1]);
    calm_spawn(&group, join, &users[2]);
    get(&queue);
    get(&queue);
    calm_sleep(CALM_MS);
    calm_cancel(cancelled);
    check_equal(calm_queue_done(&queue), 0);
    calm_sleep(CALM_MS);
    check_equal(users[1].rc, 1);
    check_equal(calm_queue_done(&queue), 0);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(users[0].rc, -ECANCELED);
    check_equal(users[1].rc, 0);
    check_equal(users[2].rc, 0);
    calm_queue_clear(&queue);
    return 0;
}

/* ---- many ---- */

enum { PRODUCERS = 8, CONSUMERS = 8, EACH = 2000 };

struct traffic {
    calm_queue queue;
    int producers;
    unsigned char seen[PRODUCERS * EACH];
};

struct producer {
    struct traffic *traffic;
    int number;
};

static int produce(void *arg)
{
    struct producer *producer = arg;
    struct traffic *traffic = producer->traffic;
    int rc = 0;
    for (int i = 0; i < EACH && rc == 0; i++) {
        int item = producer->number * EACH + i;
        rc = calm_queue_put(&traffic->queue, &item);
    }
    if (--traffic->producers == 0)
        calm_queue_close(&traffic->queue);
    return rc;
}

static int consume(void *arg)
{
    struct traffic *traffic = arg;
    int item, rc;
    while ((rc = calm_queue_get(&traffic->queue, &item)) == 0)
        traffic->seen[item]++;
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int each_item_arrives_once(void *arg)
{
    static const size_t capacities[] = {1, 2, 7, 64, 0};
    struct traffic *traffic = malloc(sizeof *traffic);
    for (size_t c = 0; c < 5; c++) {
        memset(traffic, 0, sizeof *traffic);
        traffic->producers = PRODUCERS;
        queue_of_numbers(&traffic->queue, capacities[c]);
        struct producer producers[PRODUCERS];
        calm_group group;
        calm_group_begin(&group);
        for (int i = 0; i < PRODUCERS; i++) {
            producers[i] = (struct producer){traffic, i};
            calm_spawn(&group, produce, &producers[i]);
        }
        for (int i = 0; i < CONSUMERS; i++)
            calm_spawn(&group, consume, traffic);
        check_equal(calm_group_end(&group, 0), 0);
        int wrong = 0;
        for (int i = 0; i < PRODUCERS * EACH; i++)
            wrong += traffic->seen[i] != 1;
        check_equal(wrong, 0);
        calm_queue_clear(&traffic->queue);
    }
    free(traffic);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(items_come_out_as_they_went_in),
        virtual_test(lifo_gives_the_newest),
        virtual_test(priority_keeps_the_order_of_equals),
        virtual_test(odd_sizes_are_copied_whole),
        virtual_test(senseless_queues_are_refused),
        virtual_test(full_queue_holds_the_putter_back),
        virtual_test(item_of_a_cancelled_getter_is_first_for_the_next),
        virtual_test(item_of_the_only_getter_cancelled_stays),
        virtual_test(room_of_a_cancelled_putter_goes_to_the_next),
        virtual_test(recv_after_close_drains_then_fails),
        virtual_test(close_wakes_all_getters_and_putters),
        virtual_test(close_between_grant_and_step_of_a_putter),
        virtual_test(item_of_a_cancelled_getter_survives_a_close),
        virtual_test(getter_after_close_waits_for_what_another_may_leave),
        virtual_test(join_waits_until_all_is_done),
        virtual_test(each_item_arrives_once),
    };
    return run_list("queue", tests, sizeof tests / sizeof *tests);
}
