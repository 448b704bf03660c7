/* test_post.c - posts from other threads: all arrive, in order, and fairly */
#include "test.h"

#include <pthread.h>
#include <time.h>

enum { THREADS = 8, EACH = 10000 };

struct inbox {
    calm_poster *poster;
    int last[THREADS];
    int count, wrong;
    calm_event full;
};

struct letter {
    struct inbox *inbox;
    int thread, number;
};

static void arrive(void *arg)
{
    struct letter *letter = arg;
    struct inbox *inbox = letter->inbox;
    inbox->wrong += letter->number != inbox->last[letter->thread]++;
    if (++inbox->count == THREADS * EACH)
        calm_event_set(&inbox->full);
}

struct sender {
    struct inbox *inbox;
    int thread;
    struct letter *letters;
};

static void *send_all(void *arg)
{
    struct sender *sender = arg;
    intptr_t failed = 0;
    for (int i = 0; i < EACH; i++) {
        sender->letters[i] = (struct letter){sender->inbox, sender->thread, i};
        failed +=
            calm_post(sender->inbox->poster, arrive, &sender->letters[i]) != 0;
    }
    return (void *)failed;
}

static int posts_of_8_threads_arrive_in_order(void *arg)
{
    struct inbox inbox = {.poster = calm_poster_open()};
    struct sender senders[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        senders[i] =
            (struct sender){&inbox, i, malloc(EACH * sizeof(struct letter))};
        check_equal(
            pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    check_equal(calm_event_wait(&inbox.full), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        check(failed == NULL);
        free(senders[i].letters);
    }
    calm_poster_close(inbox.poster);
    check_equal(inbox.count, THREADS * EACH);
    check_equal(inbox.wrong, 0);
    return 0;
}

struct again {
    calm_poster *poster;
    int count;
    bool stop;
};

static void post_again(void *arg)
{
    struct again *again = arg;
    again->count++;
    if (!again->stop)
        check_equal(calm_post(again->poster, post_again, again), 0);
}

static int post_that_posts_itself_does_not_starve_tasks(void *arg)
{
    struct again again = {.poster = calm_poster_open()};
    check_equal(calm_post(again.poster, post_again, &again), 0);
    for (int i = 0; i < 1000; i++)
        check_equal(calm_checkpoint(), 0);
    check(again.count > 0 && again.count <= 1001);
    int64_t start = calm_now();
    check_equal(calm_sleep(5 * CALM_MS), 0);
    check(ms_since(start) < 1000);
    again.stop = true;
    calm_sleep(CALM_MS);
    int count = again.count;
    calm_sleep(CALM_MS);
    check_equal(again.count, count);
    calm_poster_close(again.poster);
    return 0;
}

struct order {
    calm_poster *poster;
    int log[4], count;
};

static void note_2(void *arg)
{
    struct order *order = arg;
    order->log[order->count++] = 2;
}

static void note_1(void *arg)
{
    struct order *order = arg;
    order->log[order->count++] = 1;
    check_equal(calm_post(order->poster, note_2, order), 0);
}

static int note_task(void *arg)
{
    struct order *order = arg;
    order->log[order->count++] = 3;
    return 0;
}

static void spawn_from_a_post(void *arg)
{
    calm_spawn(*(calm_group **)arg, return_number, number(0));
}

static int post_may_spawn_and_cancel(void *arg)
{
    calm_group group, *address = &group;
    calm_group_begin(&group);
    calm_poster *poster = calm_poster_open();
    check_equal(calm_post(poster, spawn_from_a_post, &address), 0);
    check_equal(
        calm_post(poster, (void (*)(void *))calm_group_cancel, &group), 0);
    check_equal(calm_sleep(CALM_FOREVER), -ECANCELED);
    calm_poster_close(poster);
    return calm_group_end(&group, -ECANCELED);
}

static int post_made_by_a_post_runs_in_the_next_round(void *arg)
{
    struct order order = {.poster = calm_poster_open()};
    calm_group group;
    calm_group_begin(&group);
    check_equal(calm_post(order.poster, note_1, &order), 0);
    check_equal(calm_sleep(CALM_MS), 0);
    check_equal(order.log[0], 1);
    check_equal(order.log[1], 2);
    calm_spawn(&group, note_task, &order);
    calm_poster_close(order.poster);
    return calm_group_end(&group, 0);
}

static void set_event(void *arg)
{
    calm_event_set(arg);
}

static int what_was_posted_before_close_still_runs(void *arg)
{
    calm_event event = {0};
    calm_poster *poster = calm_poster_open();
    check_equal(calm_post(poster, set_event, &event), 0);
    calm_poster_close(poster);
    check_equal(calm_event_wait(&event), 0);
    return 0;
}

static void *post_later(void *arg)
{
    struct {
        calm_poster *poster;
        calm_event event;
    } *later = arg;
    struct timespec ms = {.tv_nsec = 20000000};
    nanosleep(&ms, NULL);
    calm_post(later->poster, set_event, &later->event);
    return NULL;
}

static int open_door_is_no_deadlock(void *arg)
{
    struct {
        calm_poster *poster;
        calm_event event;
    } later = {.poster = calm_poster_open()};
    pthread_t thread;
    check_equal(pthread_create(&thread, NULL, post_later, &later), 0);
    check_equal(calm_event_wait(&later.event), 0);
    pthread_join(thread, NULL);
    calm_poster_close(later.poster);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(posts_of_8_threads_arrive_in_order),
        virtual_test(posts_of_8_threads_arrive_in_order),
        real_test(post_that_posts_itself_does_not_starve_tasks),
        virtual_test(post_made_by_a_post_runs_in_the_next_round),
        virtual_test(post_may_spawn_and_cancel),
        virtual_test(what_was_posted_before_close_still_runs),
        real_test(open_door_is_no_deadlock),
        virtual_test(open_door_is_no_deadlock),
    };
    return run_list("post", tests, sizeof tests / sizeof *tests);
}
