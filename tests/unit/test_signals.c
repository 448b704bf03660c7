/* test_signals.c - interrupts, overflows and what is put back afterwards */
#include "both_backends.h"

#include "child.h"

#include <calm/pool.h>
#include <calm/run.h>
#include <calm/time.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const char cleaned[] = "cleaned up\n";

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(99);
}

/* ---- interrupts ---- */

static int sleeper(void *arg)
{
    raise(*(int *)arg);
    int rc = calm_sleep(CALM_FOREVER);
    say(rc == -ECANCELED ? cleaned : "no cancel\n");
    return rc;
}

static void child_interrupted(void *arg)
{
    calm_run_with(sleeper, arg, &(calm_run_opts){.sigterm = true});
    say("still here\n");
    _exit(0);
}

static void a_signal_cancels_main_and_ends_the_process(void **state)
{
    int numbers[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        char output[256];
        int status =
            run_in_child(child_interrupted, &numbers[i], output, sizeof output);
        assert_true(died_of(status, numbers[i]));
        assert_string_equal(output, cleaned);
    }
}

static int stubborn(void *arg)
{
    raise(SIGINT);
    if (calm_sleep(CALM_FOREVER) == -ECANCELED)
        say(cleaned);
    raise(SIGINT);
    say("still here\n");
    return 0;
}

static void child_stubborn(void *arg)
{
    calm_run(stubborn, NULL);
}

static void a_second_signal_ends_the_process_at_once(void **state)
{
    char output[256];
    int status = run_in_child(child_stubborn, NULL, output, sizeof output);
    assert_true(died_of(status, SIGINT));
    assert_string_equal(output, cleaned);
}

static void own_handler(int number)
{
    say("own handler\n");
}

static void child_with_handler(void *arg)
{
    int number = SIGINT;
    signal(SIGINT, own_handler);
    if (calm_run(sleeper, &number) != -ECANCELED)
        _exit(1);
    say("returned\n");
    raise(SIGINT); /* it is back where it was */
    _exit(42);
}

static void the_handler_from_before_gets_the_signal_afterwards(void **state)
{
    char output[256];
    int status = run_in_child(child_with_handler, NULL, output, sizeof output);
    assert_true(exited_with(status, 42));
    assert_string_equal(
        output, "cleaned up\nown handler\nreturned\nown handler\n");
}

static int raise_and_sleep(void *arg)
{
    raise(SIGINT);
    return calm_sleep(CALM_MS);
}

static void child_ignoring(void *arg)
{
    signal(SIGINT, SIG_IGN);
    _exit(calm_run(raise_and_sleep, NULL) == 0 ? 42 : 1);
}

static void a_signal_that_was_ignored_stays_so(void **state)
{
    int status = run_in_child(child_ignoring, NULL, NULL, 0);
    assert_true(exited_with(status, 42));
}

static void child_without_signals(void *arg)
{
    calm_run_with(raise_and_sleep, NULL, &(calm_run_opts){.no_signals = true});
    _exit(0);
}

static void no_signals_leaves_them_alone(void **state)
{
    int status = run_in_child(child_without_signals, NULL, NULL, 0);
    assert_true(died_of(status, SIGINT));
}

static void *interrupt_later(void *arg)
{
    usleep(5000);
    kill(getpid(), SIGINT);
    return NULL;
}

static int with_an_open_door(void *arg)
{
    calm_poster *poster = calm_poster_open(); /* or it is a deadlock */
    pthread_t thread; /* begun here, when the run takes signals already */
    pthread_create(&thread, NULL, interrupt_later, NULL);
    calm_sleep(CALM_FOREVER);
    say(cleaned);
    calm_poster_close(poster);
    return 0;
}

static void child_waiting(void *arg)
{
    calm_run(with_an_open_door, NULL);
}

static void a_signal_wakes_a_loop_that_waits(void **state)
{
    char output[256];
    int status = run_in_child(child_waiting, NULL, output, sizeof output);
    assert_true(died_of(status, SIGINT));
    assert_string_equal(output, cleaned);
}

static void *run_elsewhere(void *arg)
{
    calm_run(raise_and_sleep, NULL);
    return NULL;
}

static void child_second_thread(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, run_elsewhere, NULL);
    pthread_join(thread, NULL);
    _exit(0);
}

static void only_the_main_thread_takes_interrupts(void **state)
{
    int status = run_in_child(child_second_thread, NULL, NULL, 0);
    assert_true(died_of(status, SIGINT));
}

/* ---- SIGPIPE ---- */

static int writes_to_nobody(void *arg)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
    return 0;
}

static int executes(void *arg)
{
    /* Were SIGPIPE ignored, the shell would survive its own signal. */
    return system("sh -c 'kill -PIPE $$; echo ignored' 2>&1 | grep -q ignored");
}

static void sigpipe_is_not_ignored_by_programs_that_are_executed(void **state)
{
    signal(SIGPIPE, SIG_DFL);
    int status = calm_run(executes, NULL);
    assert_int_equal(WEXITSTATUS(status), 1); /* grep found nothing */
}

static void sigpipe_is_ignored_during_a_run_and_not_after(void **state)
{
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(calm_run(writes_to_nobody, NULL), 0);
    struct sigaction now;
    sigaction(SIGPIPE, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
}

static int sets_its_own(void *arg)
{
    signal(SIGPIPE, own_handler);
    return 0;
}

static void what_the_program_has_set_meanwhile_stays(void **state)
{
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(calm_run(sets_its_own, NULL), 0);
    struct sigaction now;
    sigaction(SIGPIPE, NULL, &now);
    assert_true(now.sa_handler == own_handler);
    signal(SIGPIPE, SIG_DFL);
}

/* ---- faults ---- */

static void no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

__attribute__((noinline)) static int dig(volatile char *above)
{
    volatile char frame[1024];
    frame[0] = above[0];
    return frame[0] ? 0 : dig(frame) + frame[0];
}

static int digger(void *arg)
{
    calm_name("digger");
    char first = 0;
    return dig(&first);
}

static int digging_main(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, digger, NULL);
    return calm_group_end(&group, 0);
}

static void child_overflows(void *arg)
{
    no_core();
    calm_run_with(digging_main, NULL, &(calm_run_opts){.stack_size = 64 << 10});
}

static void an_overflow_names_the_task_and_ends_the_process(void **state)
{
    char output[512];
    int status = run_in_child(child_overflows, NULL, output, sizeof output);
    assert_true(died_of(status, SIGSEGV) || died_of(status, SIGBUS));
    assert_non_null(
        strstr(output, "calm: task 'digger': stack overflow (64 KiB)\nhint: "));
}

static int faulting(void *arg)
{
    char *nowhere =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return *(volatile char *)nowhere;
}

static void child_faults(void *arg)
{
    no_core();
    signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own */
    calm_run(faulting, NULL);
}

static void another_fault_is_no_overflow(void **state)
{
    char output[512];
    int status = run_in_child(child_faults, NULL, output, sizeof output);
    assert_true(died_of(status, SIGSEGV));
    assert_string_equal(output, "");
}

static void fault_handler_before(int number, siginfo_t *info, void *context)
{
    say("chained\n");
    _exit(42);
}

static void child_chains(void *arg)
{
    struct sigaction before = {
        .sa_sigaction = fault_handler_before,
        .sa_flags = SA_SIGINFO,
    };
    sigaction(SIGSEGV, &before, NULL);
    calm_run(faulting, NULL);
}

static void another_fault_goes_to_the_handler_from_before(void **state)
{
    char output[256];
    int status = run_in_child(child_chains, NULL, output, sizeof output);
    assert_true(exited_with(status, 42));
    assert_string_equal(output, "chained\n");
}

static int nothing(void *arg)
{
    return 0;
}

static void the_stack_for_signals_is_given_back(void **state)
{
    stack_t before, after;
    sigaltstack(NULL, &before);
    assert_int_equal(calm_run(nothing, NULL), 0);
    sigaltstack(NULL, &after);
    assert_int_equal(after.ss_flags, before.ss_flags);
    assert_ptr_equal(after.ss_sp, before.ss_sp);
}

int main(void)
{
    const struct CMUnitTest signal_tests[] = {
        cmocka_unit_test(a_signal_cancels_main_and_ends_the_process),
        cmocka_unit_test(a_second_signal_ends_the_process_at_once),
        cmocka_unit_test(the_handler_from_before_gets_the_signal_afterwards),
        cmocka_unit_test(a_signal_that_was_ignored_stays_so),
        cmocka_unit_test(no_signals_leaves_them_alone),
        cmocka_unit_test(a_signal_wakes_a_loop_that_waits),
        cmocka_unit_test(only_the_main_thread_takes_interrupts),
        cmocka_unit_test(sigpipe_is_ignored_during_a_run_and_not_after),
        cmocka_unit_test(sigpipe_is_not_ignored_by_programs_that_are_executed),
        cmocka_unit_test(what_the_program_has_set_meanwhile_stays),
        cmocka_unit_test(an_overflow_names_the_task_and_ends_the_process),
        cmocka_unit_test(another_fault_is_no_overflow),
        cmocka_unit_test(another_fault_goes_to_the_handler_from_before),
        cmocka_unit_test(the_stack_for_signals_is_given_back),
    };
    return RUN_ON_BOTH_BACKENDS(signal_tests);
}
