/* test_lifetime.c - what a fork leaves of calm in the child */
#include "both_backends.h"

#include "child.h"

#include <calm/pool.h>
#include <calm/run.h>
#include <calm/time.h>

#include <pthread.h>

static int nothing(void *arg)
{
    return 0;
}

static int uses_a_pool(void *arg)
{
    return calm_blocking(nothing, NULL);
}

/* ---- within a run ---- */

static void refused_calls(void *arg)
{
    if (calm_sleep(CALM_MS) != -EPERM)
        _exit(1);
    if (calm_blocking(nothing, NULL) != -EPERM)
        _exit(2);
    if (calm_cpu(nothing, NULL) != -EPERM)
        _exit(3);
    if (calm_checkpoint() != -EPERM)
        _exit(4);
    int rc = calm_run(nothing, NULL);
    if (rc != -ECHILD && rc != -EBUSY)
        _exit(5);
    if (!strstr(calm_message(rc), "fork"))
        _exit(6);
    _exit(42);
}

static int forking_main(void *arg)
{
    assert_int_equal(calm_blocking(nothing, NULL), 0);
    int status = run_in_child(refused_calls, NULL, NULL, 0);
    assert_true(exited_with(status, 42));
    /* The parent has lost nothing. */
    assert_int_equal(calm_blocking(nothing, NULL), 0);
    return calm_sleep(CALM_MS);
}

static void a_child_of_a_run_gets_errors_and_no_hang(void **state)
{
    assert_int_equal(calm_run(forking_main, NULL), 0);
    assert_int_equal(calm_run(forking_main, NULL), 0);
}

static int fork_and_return(void *arg)
{
    assert_int_equal(calm_blocking(nothing, NULL), 0);
    *(pid_t *)arg = fork();
    return *(pid_t *)arg == 0 ? 42 : 7;
}

static void a_child_may_return_from_the_run(void **state)
{
    pid_t child = -1;
    int status, rc = calm_run(fork_and_return, &child);
    if (child == 0)
        _exit(rc);
    assert_int_equal(rc, 7);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(exited_with(status, 42));
}

/* ---- between runs ---- */

static void child_runs(void *arg)
{
    _exit(calm_run(uses_a_pool, NULL) == 0 ? 42 : 1);
}

static void a_child_of_a_process_that_ran_may_run(void **state)
{
    assert_int_equal(calm_run(uses_a_pool, NULL), 0);
    assert_true(exited_with(run_in_child(child_runs, NULL, NULL, 0), 42));
    assert_int_equal(calm_run(uses_a_pool, NULL), 0);
}

/* ---- several at once ---- */

static void *run_on_thread(void *arg)
{
    for (int i = 0; i < 20; i++)
        if (calm_run(uses_a_pool, NULL) != 0)
            return arg;
    return NULL;
}

static void runs_of_several_threads_begin_and_end_as_they_like(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_on_thread, state);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest lifetime_tests[] = {
        cmocka_unit_test(a_child_of_a_run_gets_errors_and_no_hang),
        cmocka_unit_test(a_child_may_return_from_the_run),
        cmocka_unit_test(a_child_of_a_process_that_ran_may_run),
        cmocka_unit_test(runs_of_several_threads_begin_and_end_as_they_like),
    };
    return RUN_ON_BOTH_BACKENDS(lifetime_tests);
}
