/* test_blocking.c - calls on the pools, as tasks see them */
#include "both_backends.h"

#include "base/fault.h"

#include <calm/pool.h>
#include <calm/run.h>
#include <calm/time.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum {
    POOL = 64,
};

static int give(void *arg)
{
    return *(int *)arg;
}

static int fail_with_a_sentence(void *arg)
{
    return calm_fail(-ENOENT, "no '%s' in the pool", (const char *)arg);
}

static int threads_of_the_process(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count - 2;
}

/* ---- results ---- */

static int results_main(void *arg)
{
    int number = 42;
    assert_int_equal(calm_blocking(give, &number), 42);
    assert_int_equal(calm_cpu(give, &number), 42);
    int rc = calm_blocking(fail_with_a_sentence, "file");
    assert_int_equal(rc, -ENOENT);
    assert_string_equal(calm_message(rc), "no 'file' in the pool");
    rc = calm_cpu(fail_with_a_sentence, "number");
    assert_string_equal(calm_message(rc), "no 'number' in the pool");
    number = -EIO; /* without a sentence, and none is left of the last */
    rc = calm_blocking(give, &number);
    assert_int_equal(rc, -EIO);
    assert_string_equal(calm_message(rc), strerror(EIO));
    return 0;
}

static void results_and_sentences_come_back(void **state)
{
    assert_int_equal(calm_run(results_main, NULL), 0);
}

static int tries_a_task_call(void *arg)
{
    return calm_sleep(0);
}

static int outside_main(void *arg)
{
    assert_int_equal(calm_blocking(tries_a_task_call, NULL), -EPERM);
    return 0;
}

static void calls_that_wait_fail_outside_of_tasks(void **state)
{
    int number = 1;
    assert_int_equal(calm_blocking(give, &number), -EPERM);
    assert_int_equal(calm_run(outside_main, NULL), 0);
}

/* ---- many at once ---- */

static pthread_barrier_t barrier;

static int meet(void *arg)
{
    pthread_barrier_wait(&barrier);
    return 0;
}

static int meet_in_pool(void *arg)
{
    return calm_blocking(meet, NULL);
}

static int meeting_main(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < POOL; i++)
        calm_spawn(&group, meet_in_pool, NULL);
    return calm_group_end(&group, 0);
}

static void as_many_calls_block_at_once_as_the_pool_has_threads(void **state)
{
    pthread_barrier_init(&barrier, NULL, POOL);
    assert_int_equal(calm_run(meeting_main, NULL), 0);
    assert_int_equal(calm_run(meeting_main, NULL), 0);
    pthread_barrier_destroy(&barrier);
}

static void no_thread_outlives_the_last_run(void **state)
{
    int before = threads_of_the_process(); /* a sanitizer may have some */
    pthread_barrier_init(&barrier, NULL, POOL);
    assert_int_equal(calm_run(meeting_main, NULL), 0);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(threads_of_the_process(), before);
}

static atomic_int ran, at_once, most_at_once;

static int tiny(void *arg)
{
    int now = atomic_fetch_add(&at_once, 1) + 1, most = most_at_once;
    while (
        now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
        continue;
    atomic_fetch_add(&ran, 1);
    atomic_fetch_sub(&at_once, 1);
    return 0;
}

static int many_tiny(void *arg)
{
    int (*on)(calm_fn *, void *) = arg;
    for (int i = 0; i < 500; i++) {
        int rc = on(tiny, NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int many_main(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < POOL; i++)
        calm_spawn(&group, many_tiny, arg);
    return calm_group_end(&group, 0);
}

static void every_one_of_many_jobs_runs_once(void **state)
{
    atomic_store(&ran, 0);
    assert_int_equal(calm_run(many_main, calm_blocking), 0);
    assert_int_equal(ran, POOL * 500);
}

static void the_cpu_pool_has_no_more_threads_than_processors(void **state)
{
    atomic_store(&ran, 0);
    atomic_store(&most_at_once, 0);
    assert_int_equal(calm_run(many_main, calm_cpu), 0);
    assert_int_equal(ran, POOL * 500);
    assert_in_range(most_at_once, 1, calm_cpu_count());
}

/* ---- cancel ---- */

static atomic_bool begun, may_end, dropped_ran;

static int block(void *arg)
{
    atomic_store(&begun, true);
    while (!atomic_load(&may_end))
        usleep(100);
    return 7;
}

static int block_in_pool(void *arg)
{
    return calm_blocking(block, NULL);
}

static void let_it_end(void *arg)
{
    atomic_store(&may_end, true);
}

static int started_main(void *arg)
{
    atomic_store(&begun, false);
    atomic_store(&may_end, false);
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, block_in_pool, NULL);
    while (!atomic_load(&begun))
        calm_sleep(CALM_MS);
    calm_cancel(task);
    calm_sleep(CALM_MS);
    assert_false(calm_task_done(task));
    let_it_end(NULL);
    int result = 0;
    assert_int_equal(calm_await(task, &result), 0);
    assert_int_equal(result, 7);
    return calm_group_end(&group, 0);
}

static void a_job_that_has_begun_is_waited_for_when_cancelled(void **state)
{
    assert_int_equal(calm_run(started_main, NULL), 0);
}

static int must_not_run(void *arg)
{
    atomic_store(&dropped_ran, true);
    return 0;
}

static int drop_in_pool(void *arg)
{
    return calm_blocking(must_not_run, NULL);
}

static int dropped_main(void *arg)
{
    atomic_store(&may_end, false);
    atomic_store(&dropped_ran, false);
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < POOL; i++)
        calm_spawn(&group, block_in_pool, NULL);
    calm_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = calm_spawn(&group, drop_in_pool, NULL);
    calm_sleep(CALM_MS);
    const int order[] = {1, 2, 0}; /* the middle, the last, the only one */
    for (int i = 0; i < 3; i++) {
        int result = 0;
        calm_cancel(tasks[order[i]]);
        assert_int_equal(calm_await(tasks[order[i]], &result), 0);
        assert_int_equal(result, -ECANCELED);
    }
    let_it_end(NULL);
    int rc = calm_group_end(&group, 0);
    assert_false(atomic_load(&dropped_ran));
    return rc;
}

static void a_job_that_has_not_begun_is_dropped_when_cancelled(void **state)
{
    assert_int_equal(calm_run(dropped_main, NULL), 0);
}

/* ---- the virtual clock ---- */

static int slow(void *arg)
{
    usleep(3000);
    return 0;
}

static int slow_in_pool(void *arg)
{
    int rc = calm_blocking(slow, NULL);
    *(int64_t *)arg = calm_now();
    return rc;
}

static int virtual_main(void *arg)
{
    int64_t begin = calm_now(), end = 0;
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, slow_in_pool, &end);
    calm_sleep(3600 * CALM_S);
    assert_int_equal(end, begin);
    assert_true(calm_now() == begin + 3600 * CALM_S);
    return calm_group_end(&group, 0);
}

static void virtual_time_stands_still_while_a_job_runs(void **state)
{
    assert_int_equal(calm_run_with(virtual_main, NULL,
                         &(calm_run_opts){.virtual_clock = true}),
        0);
}

/* ---- no threads ---- */

static int threadless_main(void *arg)
{
    int number = 5;
    calm__fault_arm("thread", 1);
    int rc = calm_blocking(give, &number);
    calm__fault_disarm();
    assert_int_equal(rc, -EAGAIN);
    assert_non_null(
        strstr(calm_message(rc), "cannot start a thread of the blocking pool"));
    assert_int_equal(calm_blocking(give, &number), 5);
    return 0;
}

static void without_any_thread_the_call_fails_and_the_next_may_not(void **state)
{
    assert_int_equal(calm_run(threadless_main, NULL), 0);
}

static int one_thread_main(void *arg)
{
    atomic_store(&begun, false);
    atomic_store(&may_end, false);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, block_in_pool, NULL);
    while (!atomic_load(&begun))
        calm_sleep(CALM_MS);
    /* The only thread is taken, and no second one is to be had. */
    calm__fault_arm("thread", 1);
    calm_task *task = calm_spawn(&group, block_in_pool, NULL);
    calm_sleep(CALM_MS);
    assert_int_equal(calm__fault_disarm(), 1);
    assert_false(calm_task_done(task));
    let_it_end(NULL);
    int result = 0;
    assert_int_equal(calm_await(task, &result), 0);
    assert_int_equal(result, 7);
    return calm_group_end(&group, 0);
}

static void with_one_thread_left_jobs_wait_for_it(void **state)
{
    assert_int_equal(calm_run(one_thread_main, NULL), 0);
}

int main(void)
{
    setenv("CALM_CPU_THREADS", "3", 1);
    const struct CMUnitTest blocking_tests[] = {
        cmocka_unit_test(results_and_sentences_come_back),
        cmocka_unit_test(calls_that_wait_fail_outside_of_tasks),
        cmocka_unit_test(as_many_calls_block_at_once_as_the_pool_has_threads),
        cmocka_unit_test(no_thread_outlives_the_last_run),
        cmocka_unit_test(every_one_of_many_jobs_runs_once),
        cmocka_unit_test(the_cpu_pool_has_no_more_threads_than_processors),
        cmocka_unit_test(a_job_that_has_begun_is_waited_for_when_cancelled),
        cmocka_unit_test(a_job_that_has_not_begun_is_dropped_when_cancelled),
        cmocka_unit_test(virtual_time_stands_still_while_a_job_runs),
        cmocka_unit_test(
            without_any_thread_the_call_fails_and_the_next_may_not),
        cmocka_unit_test(with_one_thread_left_jobs_wait_for_it),
    };
    return RUN_ON_BOTH_BACKENDS(blocking_tests);
}
