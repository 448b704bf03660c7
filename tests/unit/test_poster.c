/* test_poster.c - posts from other threads arrive, in order, and starve none */
#include "both_backends.h"

#include "base/fault.h"

#include <calm/pool.h>
#include <calm/run.h>
#include <calm/time.h>

#include <errno.h>
#include <pthread.h>

enum {
    THREADS = 8,
    POSTS = 10000,
};

struct sender {
    calm_poster *poster;
    pthread_t thread;
    int next; /* of the loop's thread: the number that must come next */
    bool disordered;
    struct number {
        struct sender *sender;
        int number;
    } numbers[POSTS];
};

static struct sender senders[THREADS];

static void arrive(void *arg)
{
    struct number *number = arg;
    if (number->sender->next++ != number->number)
        number->sender->disordered = true;
}

static void *send_all(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < POSTS; i++) {
        sender->numbers[i] = (struct number){sender, i};
        if (calm_post(sender->poster, arrive, &sender->numbers[i]) < 0)
            abort();
    }
    return NULL;
}

static bool all_arrived(void)
{
    for (int i = 0; i < THREADS; i++)
        if (senders[i].next < POSTS)
            return false;
    return true;
}

static int storm_main(void *arg)
{
    calm_poster *poster = calm_poster_open();
    for (int i = 0; i < THREADS; i++) {
        senders[i].poster = poster;
        senders[i].next = 0;
        senders[i].disordered = false;
        pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
    }
    while (!all_arrived())
        if (calm_sleep(CALM_MS) < 0)
            return -ECANCELED;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_false(senders[i].disordered);
        assert_int_equal(senders[i].next, POSTS);
    }
    calm_poster_close(poster);
    return 0;
}

static void posts_of_many_threads_arrive_in_the_order_of_each(void **state)
{
    assert_int_equal(calm_run(storm_main, NULL), 0);
}

static int late_main(void *arg)
{
    calm_poster *poster = calm_poster_open();
    senders[0].poster = poster;
    senders[0].next = 0;
    senders[0].disordered = false;
    pthread_create(&senders[0].thread, NULL, send_all, &senders[0]);
    pthread_join(senders[0].thread, NULL);
    calm_poster_close(poster);
    assert_int_equal(senders[0].next, 0);
    return 0;
}

static void posts_from_before_the_close_still_run(void **state)
{
    assert_int_equal(calm_run(late_main, NULL), 0);
    assert_int_equal(senders[0].next, POSTS);
    assert_false(senders[0].disordered);
}

static calm_poster *endless;
static int rounds;
static bool enough;

static void post_again(void *arg)
{
    rounds++;
    if (!enough)
        assert_int_equal(calm_post(endless, post_again, NULL), 0);
    else
        calm_poster_close(endless); /* by its own last post */
}

static int starved_main(void *arg)
{
    endless = calm_poster_open();
    rounds = 0;
    enough = false;
    post_again(NULL);
    for (int i = 0; i < 100; i++)
        if (calm_sleep(i % 2 ? 0 : 10 * CALM_US) < 0)
            return -ECANCELED;
    assert_true(rounds > 0);
    enough = true;
    return 0;
}

static void a_post_that_posts_itself_starves_nobody(void **state)
{
    assert_int_equal(calm_run(starved_main, NULL), 0);
}

static void *post_later(void *arg)
{
    for (volatile int i = 0; i < 1000000; i++)
        continue;
    if (calm_post(arg, post_again, NULL) < 0)
        abort();
    return NULL;
}

static int waiting_main(void *arg)
{
    endless = calm_poster_open();
    rounds = 0;
    enough = true; /* post_again closes the door */
    pthread_t thread;
    pthread_create(&thread, NULL, post_later, endless);
    int rc = calm_sleep(CALM_FOREVER);
    pthread_join(thread, NULL);
    return rc;
}

static void an_open_door_is_no_deadlock_and_a_closed_one_is(void **state)
{
    assert_int_equal(calm_run(waiting_main, NULL), -EDEADLK);
    assert_int_equal(rounds, 1);
}

static int memory_main(void *arg)
{
    calm__fault_arm("memory", 1);
    assert_null(calm_poster_open());
    calm__fault_disarm();
    calm_poster *poster = calm_poster_open();
    assert_non_null(poster);
    calm__fault_arm("memory", 1);
    assert_int_equal(calm_post(poster, post_again, NULL), -ENOMEM);
    calm__fault_disarm();
    calm_poster_close(poster);
    calm_poster_close(NULL);
    return 0;
}

static void without_memory_a_post_is_refused(void **state)
{
    assert_null(calm_poster_open());
    assert_int_equal(calm_run(memory_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest poster_tests[] = {
        cmocka_unit_test(posts_of_many_threads_arrive_in_the_order_of_each),
        cmocka_unit_test(posts_from_before_the_close_still_run),
        cmocka_unit_test(a_post_that_posts_itself_starves_nobody),
        cmocka_unit_test(an_open_door_is_no_deadlock_and_a_closed_one_is),
        cmocka_unit_test(without_memory_a_post_is_refused),
    };
    return RUN_ON_BOTH_BACKENDS(poster_tests);
}
