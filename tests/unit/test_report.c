/* test_report.c - when nothing can happen any more: who waits for what */
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct pair {
    calm_mutex a, b;
    int codes[2];
};

static int lock_a_then_b(void *arg)
{
    struct pair *pair = arg;
    calm_name("left");
    check_equal(calm_mutex_lock(&pair->a), 0);
    calm_sleep(CALM_MS);
    pair->codes[0] = calm_mutex_lock(&pair->b);
    check_equal(calm_mutex_unlock(&pair->a), 0);
    return pair->codes[0];
}

static int lock_b_then_a(void *arg)
{
    struct pair *pair = arg;
    calm_name("right");
    check_equal(calm_mutex_lock(&pair->b), 0);
    calm_sleep(CALM_MS);
    pair->codes[1] = calm_mutex_lock(&pair->a);
    check_equal(calm_mutex_unlock(&pair->b), 0);
    return pair->codes[1];
}

static int embrace(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, lock_a_then_b, arg);
    calm_spawn(&group, lock_b_then_a, arg);
    return calm_group_end(&group, 0);
}

static int deadlock_is_reported_with_names_and_reasons(void *arg)
{
    struct pair pair = {0};
    check_equal(run_virtual(embrace, &pair), -EDEADLK);
    const char *text = calm_message(-EDEADLK);
    check_contains(text, "deadlock: every task waits");
    check_contains(text, "task 'left' waits for a lock held by 'right'");
    check_contains(text, "task 'right' waits for a lock held by 'left'");
    check_contains(text, "task 'main' waits for the tasks of its group");
    check_equal(test_report_count(), 1);
    check_text(test_report(), text);
    check_equal(pair.codes[0], -ECANCELED);
    check_equal(pair.codes[1], -ECANCELED);
    check_equal(run_real(embrace, &pair), -EDEADLK);
    calm_error_clear();
    return 0;
}

static int wait_for_nobody(void *arg)
{
    calm_event event = {0};
    int rc = calm_event_wait(&event);
    check_equal(rc, -ECANCELED);
    /* After the cancel of main all goes on as ever. */
    calm_shield shield;
    calm_shield_begin(&shield);
    check_equal(calm_sleep(CALM_MS), 0);
    calm_shield_end(&shield);
    return 7;
}

static int main_alone_waits_for_nobody(void *arg)
{
    check_equal(run_virtual(wait_for_nobody, NULL), -EDEADLK);
    check_contains(calm_message(-EDEADLK), "'main' waits for an event");
    calm_error_clear();
    check_equal(run_real(wait_for_nobody, NULL), -EDEADLK);
    calm_error_clear();
    return 0;
}

/* ---- shields: the cancel of main is not enough ---- */

static int in_a_shield(calm_fn *fn, void *arg)
{
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = fn(arg);
    calm_shield_end(&shield);
    return rc;
}

static int wait_for_event(void *arg)
{
    return *(int *)arg = calm_event_wait(&(calm_event){0});
}

static int shielded_event(void *arg)
{
    return in_a_shield(wait_for_event, arg);
}

static int shielded_wait_is_told_of_the_deadlock(void *arg)
{
    int code = 0;
    check_equal(run_virtual(shielded_event, &code), -EDEADLK);
    check_equal(code, -EDEADLK);
    calm_error_clear();
    return 0;
}

static int group_with_event(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, wait_for_event, arg);
    return calm_group_end(&group, 0);
}

static int shielded_group(void *arg)
{
    return in_a_shield(group_with_event, arg);
}

static int child_of_a_shielded_group_is_told(void *arg)
{
    int code = 0;
    check_equal(run_virtual(shielded_group, &code), -EDEADLK);
    check_equal(code, -EDEADLK);
    calm_error_clear();
    return 0;
}

static int await_with_event(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    int result = 0;
    check_equal(
        calm_await(calm_spawn(&group, wait_for_event, arg), &result), 0);
    check_equal(result, -EDEADLK);
    return calm_group_end(&group, 0);
}

static int shielded_await(void *arg)
{
    return in_a_shield(await_with_event, arg);
}

static int awaited_child_in_a_shield_is_ended(void *arg)
{
    int code = 0;
    check_equal(run_virtual(shielded_await, &code), -EDEADLK);
    check_equal(code, -EDEADLK);
    calm_error_clear();
    return 0;
}

static int wait_many_times(void *arg)
{
    for (int i = 0; i < 5; i++) {
        check_equal(calm_event_wait(&(calm_event){0}), -EDEADLK);
        ++*(int *)arg;
    }
    return 0;
}

static int shielded_again_and_again(void *arg)
{
    return in_a_shield(wait_many_times, arg);
}

static int each_wait_of_a_shield_is_ended(void *arg)
{
    int count = 0;
    check_equal(run_virtual(shielded_again_and_again, &count), -EDEADLK);
    check_equal(count, 5);
    check_equal(test_report_count(), 1);
    calm_error_clear();
    return 0;
}

struct condition {
    calm_mutex mutex;
    calm_condition condition;
};

/* Waits for a condition that nobody notifies, while another keeps the lock
 * and waits too: the retaking of the lock comes after. */
static int wait_for_condition(void *arg)
{
    struct condition *shared = arg;
    calm_shield shield;
    calm_shield_begin(&shield);
    check_equal(calm_mutex_lock(&shared->mutex), 0);
    check_equal(
        calm_condition_wait(&shared->condition, &shared->mutex), -EDEADLK);
    check_equal(calm_mutex_unlock(&shared->mutex), 0);
    calm_shield_end(&shield);
    return 0;
}

static int hold_for_ever(void *arg)
{
    struct condition *shared = arg;
    calm_shield shield;
    calm_shield_begin(&shield);
    check_equal(calm_mutex_lock(&shared->mutex), 0);
    check_equal(calm_sleep(CALM_FOREVER), -EDEADLK);
    check_equal(calm_mutex_unlock(&shared->mutex), 0);
    calm_shield_end(&shield);
    return 0;
}

static int shared_condition(void *arg)
{
    struct condition shared = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, wait_for_condition, &shared);
    calm_spawn(&group, hold_for_ever, &shared);
    return calm_group_end(&group, 0);
}

static int conditions_and_their_locks_are_ended(void *arg)
{
    check_equal(run_virtual(shared_condition, NULL), -EDEADLK);
    calm_error_clear();
    return 0;
}

/* ---- the text ---- */

static int end_with_the_lock(void *arg)
{
    calm_name("forgetful");
    return calm_mutex_lock(arg);
}

static int lock_of_the_ended(void *arg)
{
    calm_mutex mutex = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_release(calm_spawn(&group, end_with_the_lock, &mutex));
    calm_checkpoint();
    return calm_group_end(&group, calm_mutex_lock(&mutex));
}

/* The most common cause is a lock that was not given back. */
static int lock_of_an_ended_task_is_reported_as_such(void *arg)
{
    check_equal(run_virtual(lock_of_the_ended, NULL), -EDEADLK);
    check_contains(calm_message(-EDEADLK),
        "task 'main' waits for a lock held by a task that has ended");
    calm_error_clear();
    return 0;
}

static int many_wait(void *arg)
{
    calm_event event = {0};
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 1000; i++)
        calm_spawn(&group, (calm_fn *)calm_event_wait, &event);
    return calm_group_end(&group, 0);
}

static int report_of_many_tasks_counts_the_rest(void *arg)
{
    check_equal(run_virtual(many_wait, NULL), -EDEADLK);
    check_contains(calm_message(-EDEADLK), "\n  and 9");
    check_contains(calm_message(-EDEADLK), " more");
    check(strlen(calm_message(-EDEADLK)) < CALM_MESSAGE_MAX);
    calm_error_clear();
    return 0;
}

struct ring {
    calm_task *tasks[3];
};

struct member {
    struct ring *ring;
    int number;
};

static int await_in_a_ring(void *arg)
{
    struct member *member = arg;
    calm_name("member %d", member->number);
    int result = 0;
    return calm_await(member->ring->tasks[(member->number + 1) % 3], &result);
}

static int ring_of_awaits(void *arg)
{
    struct ring ring;
    struct member members[3];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++) {
        members[i] = (struct member){&ring, i};
        ring.tasks[i] = calm_spawn(&group, await_in_a_ring, &members[i]);
    }
    return calm_group_end(&group, 0);
}

static void die_of_a_ring(void)
{
    run_virtual(ring_of_awaits, NULL);
}

/* Each is to go on after the end of the next: no wait can be broken without
 * leaving a task behind that others hold to have ended. */
static int ring_of_awaits_cannot_be_ended(void *arg)
{
    char text[4096];
    int status = run_child(die_of_a_ring, text, sizeof text);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    check_contains(text, "'member 0' waits for the end of 'member 1'");
    return 0;
}

/* ---- what is no deadlock ---- */

static int sleep_a_while(void *arg)
{
    return (int)usleep(20000);
}

static int wait_for_a_thread(void *arg)
{
    check_equal(calm_blocking(sleep_a_while, NULL), 0);
    return calm_cpu(sleep_a_while, NULL);
}

static int job_in_a_thread_is_no_deadlock(void *arg)
{
    check_equal(run_real(wait_for_a_thread, NULL), 0);
    check_equal(run_virtual(wait_for_a_thread, NULL), 0);
    check_equal(test_report_count(), 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        plain_test(deadlock_is_reported_with_names_and_reasons),
        plain_test(main_alone_waits_for_nobody),
        plain_test(shielded_wait_is_told_of_the_deadlock),
        plain_test(child_of_a_shielded_group_is_told),
        plain_test(awaited_child_in_a_shield_is_ended),
        plain_test(each_wait_of_a_shield_is_ended),
        plain_test(conditions_and_their_locks_are_ended),
        plain_test(lock_of_an_ended_task_is_reported_as_such),
        plain_test(report_of_many_tasks_counts_the_rest),
        plain_test(ring_of_awaits_cannot_be_ended),
        plain_test(job_in_a_thread_is_no_deadlock),
    };
    return run_list("report", tests, sizeof tests / sizeof *tests);
}
