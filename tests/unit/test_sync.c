/* test_sync.c - mutex, event, semaphore, condition, barrier */
#include "test.h"

/* ---- mutex ---- */

struct locker {
    calm_mutex *mutex;
    int rc;
    int order;
    int hold_ms;
};

static int lock_order;

static int lock_and_hold(void *arg)
{
    struct locker *locker = arg;
    locker->rc = calm_mutex_lock(locker->mutex);
    if (locker->rc < 0)
        return locker->rc;
    locker->order = ++lock_order;
    calm_sleep(locker->hold_ms * CALM_MS);
    return calm_mutex_unlock(locker->mutex);
}

static int lock_goes_round_in_the_order_of_asking(void *arg)
{
    lock_order = 0;
    calm_mutex mutex = {0};
    struct locker lockers[10];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 10; i++) {
        lockers[i] = (struct locker){&mutex, 1, 0, 10};
        calm_spawn(&group, lock_and_hold, &lockers[i]);
    }
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 10; i++)
        check_equal(lockers[i].order, i + 1);
    check(mutex.owner == NULL);
    return rc;
}

/* A (the test) holds, B and C wait; B is cancelled and A releases, in both
 * orders, in one tick. C gets it. */
static int cancel_and_release_in_one_tick_give_it_to_the_next(void *arg)
{
    for (int release_first = 0; release_first < 2; release_first++) {
        lock_order = 0;
        calm_mutex mutex = {0};
        struct locker b = {&mutex, 1}, c = {&mutex, 1};
        check_equal(calm_mutex_lock(&mutex), 0);
        calm_group group;
        calm_group_begin(&group);
        calm_task *b_task = calm_spawn(&group, lock_and_hold, &b);
        calm_spawn(&group, lock_and_hold, &c);
        calm_checkpoint();
        if (release_first)
            check_equal(calm_mutex_unlock(&mutex), 0);
        calm_cancel(b_task);
        if (!release_first)
            check_equal(calm_mutex_unlock(&mutex), 0);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(b.rc, -ECANCELED);
        check_equal(c.rc, 0);
        check(mutex.owner == NULL);
    }
    return 0;
}

static int cancel_of_all_waiters_leaves_the_lock_free(void *arg)
{
    calm_mutex mutex = {0};
    struct locker lockers[5];
    check_equal(calm_mutex_lock(&mutex), 0);
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 5; i++) {
        lockers[i] = (struct locker){&mutex, 1};
        calm_spawn(&group, lock_and_hold, &lockers[i]);
    }
    calm_checkpoint();
    check_equal(calm_mutex_unlock(&mutex), 0); /* given to the first */
    calm_group_cancel(&group);
    check_equal(calm_group_end(&group, 0), 0);
    for (int i = 0; i < 5; i++)
        check_equal(lockers[i].rc, -ECANCELED);
    check(mutex.owner == NULL);
    check(mutex.waiters.first == NULL && mutex.waiters.last == NULL);
    check_equal(calm_mutex_try_lock(&mutex), 0);
    return calm_mutex_unlock(&mutex);
}

static int lock_given_is_not_stolen(void *arg)
{
    lock_order = 0;
    calm_mutex mutex = {0};
    struct locker waiter = {&mutex, 1};
    check_equal(calm_mutex_lock(&mutex), 0);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, lock_and_hold, &waiter);
    calm_checkpoint();
    check_equal(calm_mutex_unlock(&mutex), 0);
    check_equal(calm_mutex_try_lock(&mutex), -EBUSY);
    check_equal(calm_mutex_lock(&mutex), 0);
    check_equal(waiter.order, 1);
    check_equal(calm_mutex_unlock(&mutex), 0);
    return calm_group_end(&group, 0);
}

static int unlock_what_is_not_held(void *arg)
{
    calm_mutex *mutex = arg;
    check_equal(calm_mutex_unlock(mutex), -EPERM);
    check_contains(calm_message(-EPERM), "does not hold the lock");
    calm_error_clear();
    return 0;
}

static int unlock_of_what_is_not_owned_is_an_error(void *arg)
{
    calm_mutex mutex = {0};
    unlock_what_is_not_held(&mutex);
    check_equal(calm_mutex_lock(&mutex), 0);
    check_equal(calm_mutex_lock(&mutex), -EDEADLK);
    check_equal(calm_mutex_try_lock(&mutex), -EBUSY);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, unlock_what_is_not_held, &mutex);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(calm_mutex_unlock(&mutex), 0);
    unlock_what_is_not_held(&mutex);
    return 0;
}

static int timeout_of_a_lock_leaves_the_list(void *arg)
{
    calm_mutex mutex = {0};
    struct locker holder = {&mutex, 1, 0, 100};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, lock_and_hold, &holder);
    calm_checkpoint();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 10 * CALM_MS);
    int rc = calm_mutex_lock(&mutex);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check(mutex.waiters.first == NULL);
    return calm_group_end(&group, 0);
}

/* ---- event ---- */

struct waiter {
    void *object;
    int rc;
};

static int wait_for_event(void *arg)
{
    struct waiter *waiter = arg;
    return waiter->rc = calm_event_wait(waiter->object);
}

static int event_wakes_all_and_stays_set(void *arg)
{
    calm_event event = {0};
    struct waiter waiters[3];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){&event, 1};
        calm_spawn(&group, wait_for_event, &waiters[i]);
    }
    calm_sleep(CALM_MS);
    check_equal(waiters[0].rc, 1);
    calm_event_set(&event);
    calm_event_clear(&event); /* those who waited go on all the same */
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 3; i++)
        check_equal(waiters[i].rc, 0);
    check(!calm_event_is_set(&event));
    calm_event_set(&event);
    check(calm_event_is_set(&event));
    check_equal(calm_event_wait(&event), 0);
    check_equal(calm_event_wait(&event), 0);
    return rc;
}

static int event_waiter_in_the_middle_is_cancelled(void *arg)
{
    calm_event event = {0};
    struct waiter waiters[3];
    calm_task *tasks[3];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){&event, 1};
        tasks[i] = calm_spawn(&group, wait_for_event, &waiters[i]);
    }
    calm_checkpoint();
    calm_cancel(tasks[1]);
    calm_checkpoint();
    calm_event_set(&event);
    int rc = calm_group_end(&group, 0);
    check_equal(waiters[0].rc, 0);
    check_equal(waiters[1].rc, -ECANCELED);
    check_equal(waiters[2].rc, 0);
    return rc;
}

/* ---- semaphore ---- */

struct limited {
    calm_semaphore *semaphore;
    int *inside, *most;
    int ms, rc;
};

static int work_limited(void *arg)
{
    struct limited *limited = arg;
    limited->rc = calm_semaphore_acquire(limited->semaphore);
    if (limited->rc < 0)
        return limited->rc;
    if (++*limited->inside > *limited->most)
        *limited->most = *limited->inside;
    int rc = calm_sleep(limited->ms * CALM_MS);
    --*limited->inside;
    calm_semaphore_release(limited->semaphore);
    return rc;
}

static int semaphore_limits_and_loses_no_permit_by_cancels(void *arg)
{
    calm_semaphore semaphore;
    calm_semaphore_init(&semaphore, 3);
    int inside = 0, most = 0;
    struct limited limited[60];
    calm_task *tasks[60];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 60; i++) {
        limited[i] = (struct limited){&semaphore, &inside, &most, 1 + i % 4};
        tasks[i] = calm_spawn(&group, work_limited, &limited[i]);
    }
    for (int i = 0; i < 60; i += 2) {
        calm_sleep(CALM_MS);
        calm_cancel(tasks[i]);
        calm_cancel(tasks[59 - i]);
    }
    int rc = calm_group_end(&group, 0);
    check_equal(most, 3);
    check_equal(inside, 0);
    check_equal(semaphore.permits, 3);
    check(semaphore.waiters.first == NULL);
    return rc;
}

static int permit_of_a_cancelled_waiter_goes_to_the_next(void *arg)
{
    for (int release_first = 0; release_first < 2; release_first++) {
        calm_semaphore semaphore;
        calm_semaphore_init(&semaphore, 0);
        int inside = 0, most = 0;
        struct limited b = {&semaphore, &inside, &most, 0, 1}, c = b;
        calm_group group;
        calm_group_begin(&group);
        calm_task *b_task = calm_spawn(&group, work_limited, &b);
        calm_spawn(&group, work_limited, &c);
        calm_checkpoint();
        if (release_first)
            calm_semaphore_release(&semaphore);
        check_equal(calm_semaphore_try_acquire(&semaphore), -EBUSY);
        calm_cancel(b_task);
        if (!release_first)
            calm_semaphore_release(&semaphore);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(b.rc, -ECANCELED);
        check_equal(c.rc, 0);
        check_equal(semaphore.permits, 1);
    }
    return 0;
}

static int negative_permits_are_a_debt(void *arg)
{
    calm_semaphore semaphore;
    calm_semaphore_init(&semaphore, -2);
    int inside = 0, most = 0;
    struct limited limited = {&semaphore, &inside, &most, 1, 1};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, work_limited, &limited);
    calm_checkpoint();
    calm_semaphore_release(&semaphore);
    calm_semaphore_release(&semaphore);
    calm_checkpoint();
    check_equal(inside, 0);
    check_equal(semaphore.permits, 0);
    calm_semaphore_release(&semaphore);
    calm_checkpoint();
    check_equal(inside, 1);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(semaphore.permits, 1);
    return 0;
}

/* ---- condition ---- */

struct waiting {
    calm_condition *condition;
    calm_mutex *mutex;
    int rc;
    bool held;
    bool finished;
};

static int wait_for_change(void *arg)
{
    struct waiting *waiting = arg;
    int rc = calm_mutex_lock(waiting->mutex);
    if (rc < 0)
        return rc;
    waiting->rc = calm_condition_wait(waiting->condition, waiting->mutex);
    waiting->held = waiting->mutex->owner == calm_self();
    check_equal(calm_mutex_unlock(waiting->mutex), 0);
    waiting->finished = true;
    return waiting->rc;
}

static int cancelled_wait_of_a_condition_holds_the_lock(void *arg)
{
    calm_condition condition = {0};
    calm_mutex mutex = {0};
    struct waiting waiting = {&condition, &mutex, 1};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, wait_for_change, &waiting);
    calm_checkpoint();
    check(mutex.owner == NULL);
    check_equal(calm_mutex_lock(&mutex), 0);
    calm_cancel(task);
    calm_sleep(CALM_MS);
    check(!waiting.finished); /* it wants the lock, which we hold */
    check_equal(calm_mutex_unlock(&mutex), 0);
    int rc = calm_group_end(&group, 0);
    check_equal(waiting.rc, -ECANCELED);
    check(waiting.held);
    check(mutex.owner == NULL);
    return rc;
}

/* Cancelled while it wants the lock back after a notify: it was notified. */
static int cancel_while_taking_the_lock_back(void *arg)
{
    calm_condition condition = {0};
    calm_mutex mutex = {0};
    struct waiting waiting = {&condition, &mutex, 1};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, wait_for_change, &waiting);
    calm_checkpoint();
    check_equal(calm_mutex_lock(&mutex), 0);
    calm_condition_notify(&condition, 1);
    calm_checkpoint();
    calm_cancel(task);
    calm_checkpoint();
    check(!waiting.finished);
    check_equal(calm_mutex_unlock(&mutex), 0);
    int rc = calm_group_end(&group, 0);
    check_equal(waiting.rc, 0);
    check(waiting.held);
    return rc;
}

static int notify_of_one_cancelled_goes_to_the_next(void *arg)
{
    for (int notify_first = 0; notify_first < 2; notify_first++) {
        calm_condition condition = {0};
        calm_mutex mutex = {0};
        struct waiting b = {&condition, &mutex, 1}, c = b;
        calm_group group;
        calm_group_begin(&group);
        calm_task *b_task = calm_spawn(&group, wait_for_change, &b);
        calm_spawn(&group, wait_for_change, &c);
        calm_checkpoint();
        calm_checkpoint();
        if (notify_first)
            calm_condition_notify(&condition, 1);
        calm_cancel(b_task);
        if (!notify_first)
            calm_condition_notify(&condition, 1);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(b.rc, -ECANCELED);
        check_equal(c.rc, 0);
        check(b.held && c.held);
    }
    return 0;
}

static int notify_wakes_as_many_as_it_says(void *arg)
{
    calm_condition condition = {0};
    calm_mutex mutex = {0};
    struct waiting waiting[6];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 6; i++) {
        waiting[i] = (struct waiting){&condition, &mutex, 1};
        calm_spawn(&group, wait_for_change, &waiting[i]);
    }
    calm_sleep(CALM_MS);
    calm_condition_notify(&condition, 0);
    calm_condition_notify(&condition, 2);
    calm_sleep(CALM_MS);
    for (int i = 0; i < 6; i++)
        check_equal(waiting[i].finished, i < 2);
    calm_condition_notify_all(&condition);
    calm_sleep(CALM_MS);
    for (int i = 0; i < 6; i++)
        check(waiting[i].finished);
    calm_condition_notify_all(&condition);
    calm_condition_notify(&condition, 5);
    return calm_group_end(&group, 0);
}

static int condition_without_the_lock_is_an_error(void *arg)
{
    calm_condition condition = {0};
    calm_mutex mutex = {0};
    check_equal(calm_condition_wait(&condition, &mutex), -EPERM);
    calm_error_clear();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_FOREVER);
    check_equal(calm_mutex_lock(&mutex), 0);
    calm_timeout_reset(&timeout, 0);
    check_equal(calm_condition_wait(&condition, &mutex), -ECANCELED);
    check(mutex.owner == calm_self());
    check_equal(calm_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);
    return calm_mutex_unlock(&mutex);
}

/* ---- barrier ---- */

struct party {
    calm_barrier *barrier;
    int rounds, passed, serial, rc;
};

static int pass_barrier(void *arg)
{
    struct party *party = arg;
    for (int i = 0; i < party->rounds; i++) {
        party->rc = calm_barrier_wait(party->barrier);
        if (party->rc < 0)
            return party->rc;
        party->passed++;
        party->serial += party->rc;
    }
    return 0;
}

static int barrier_passes_all_together_round_after_round(void *arg)
{
    calm_barrier barrier;
    calm_barrier_init(&barrier, 4);
    struct party parties[4];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 4; i++) {
        parties[i] = (struct party){&barrier, 50};
        calm_spawn(&group, pass_barrier, &parties[i]);
    }
    int rc = calm_group_end(&group, 0);
    int serial = 0;
    for (int i = 0; i < 4; i++) {
        check_equal(parties[i].passed, 50);
        serial += parties[i].serial;
    }
    check_equal(serial, 50);
    check_equal(barrier.arrived, 0);
    calm_barrier_init(&barrier, 1);
    check_equal(calm_barrier_wait(&barrier), 1);
    return rc;
}

static int cancelled_party_has_not_arrived(void *arg)
{
    calm_barrier barrier;
    calm_barrier_init(&barrier, 3);
    struct party parties[4];
    calm_task *tasks[4];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 2; i++) {
        parties[i] = (struct party){&barrier, 1};
        tasks[i] = calm_spawn(&group, pass_barrier, &parties[i]);
    }
    calm_checkpoint();
    check_equal(barrier.arrived, 2);
    calm_cancel(tasks[0]);
    check_equal(barrier.arrived, 1);
    for (int i = 2; i < 4; i++) {
        parties[i] = (struct party){&barrier, 1};
        tasks[i] = calm_spawn(&group, pass_barrier, &parties[i]);
        calm_checkpoint();
        check_equal(parties[1].passed, 0);
    }
    calm_cancel(tasks[1]); /* the round is complete: it has passed */
    int rc = calm_group_end(&group, 0);
    check_equal(parties[0].rc, -ECANCELED);
    for (int i = 1; i < 4; i++)
        check_equal(parties[i].passed, 1);
    return rc;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(lock_goes_round_in_the_order_of_asking),
        virtual_test(cancel_and_release_in_one_tick_give_it_to_the_next),
        virtual_test(cancel_of_all_waiters_leaves_the_lock_free),
        virtual_test(lock_given_is_not_stolen),
        virtual_test(unlock_of_what_is_not_owned_is_an_error),
        virtual_test(timeout_of_a_lock_leaves_the_list),
        virtual_test(event_wakes_all_and_stays_set),
        virtual_test(event_waiter_in_the_middle_is_cancelled),
        virtual_test(semaphore_limits_and_loses_no_permit_by_cancels),
        virtual_test(permit_of_a_cancelled_waiter_goes_to_the_next),
        virtual_test(negative_permits_are_a_debt),
        virtual_test(cancelled_wait_of_a_condition_holds_the_lock),
        virtual_test(cancel_while_taking_the_lock_back),
        virtual_test(notify_of_one_cancelled_goes_to_the_next),
        virtual_test(notify_wakes_as_many_as_it_says),
        virtual_test(condition_without_the_lock_is_an_error),
        virtual_test(barrier_passes_all_together_round_after_round),
        virtual_test(cancelled_party_has_not_arrived),
    };
    return run_list("sync", tests, sizeof tests / sizeof *tests);
}
