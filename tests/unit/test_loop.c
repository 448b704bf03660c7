/* test_loop.c - fairness, the two clocks, what a switch keeps, slow steps */
#include "test.h"

#include "base/clock.h"

#include <fenv.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* ---- fairness ---- */

struct spin {
    bool stop;
    uint64_t turns;
    calm_queue queue;
    calm_mutex mutex;
    calm_semaphore semaphore;
    calm_event event;
};

static int spin_on_checkpoints(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_checkpoint() == 0)
        spin->turns++;
    return 0;
}

static int spin_on_a_queue(void *arg)
{
    struct spin *spin = arg;
    int item = 1;
    while (!spin->stop && calm_queue_put(&spin->queue, &item) == 0 &&
           calm_queue_get(&spin->queue, &item) == 0)
        spin->turns++;
    return 0;
}

static int spin_on_a_mutex(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_mutex_lock(&spin->mutex) == 0) {
        spin->turns++;
        (void)calm_mutex_unlock(&spin->mutex);
    }
    return 0;
}

static int spin_on_a_semaphore(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_semaphore_acquire(&spin->semaphore) == 0) {
        spin->turns++;
        calm_semaphore_release(&spin->semaphore);
    }
    return 0;
}

static int spin_on_an_event(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_event_wait(&spin->event) == 0)
        spin->turns++;
    return 0;
}

static int spin_on_sleeps_of_zero(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_sleep(0) == 0)
        spin->turns++;
    return 0;
}

static int spin_on_expired_sleeps(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_sleep_until(1) == 0)
        spin->turns++;
    return 0;
}

static int spin_on_empty_gathers(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop && calm_gather(NULL, 0, NULL) == 0)
        spin->turns++;
    return 0;
}

static int spin_on_short_tasks(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop) {
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(&group, return_number, number(0));
        if (calm_group_end(&group, 0) < 0)
            break;
        spin->turns++;
    }
    return 0;
}

/* How long a sleep of 5 ms takes beside two of the spinners, which have run:
 * on a machine that others use they may get no processor in one sleep. */
static int64_t sleep_beside(calm_fn *spinner)
{
    struct spin spin = {.event = {.set = true}};
    calm_queue_init(&spin.queue, sizeof(int), 4, NULL);
    calm_semaphore_init(&spin.semaphore, 1);
    calm_group group;
    calm_group_begin(&group);
    for (int n = 0; n < 2; n++)
        calm_spawn(&group, spinner, &spin);
    int64_t took = 0;
    for (int sleeps = 0; sleeps < 200 && spin.turns <= 100; sleeps++) {
        int64_t start = calm_now();
        check_equal(calm_sleep(5 * CALM_MS), 0);
        took = ms_since(start);
    }
    spin.stop = true;
    check(spin.turns > 100);
    check_equal(calm_group_end(&group, 0), 0);
    calm_queue_clear(&spin.queue);
    return took;
}

/* The machine may be busy: once in ten attempts is enough, as a task that
 * starves others does so each time. */
enum { ATTEMPTS = 10 };

static int spinning_task_does_not_starve_a_timer(void *arg)
{
    static calm_fn *const spinners[] = {spin_on_checkpoints, spin_on_a_queue,
        spin_on_a_mutex, spin_on_a_semaphore, spin_on_an_event,
        spin_on_sleeps_of_zero, spin_on_expired_sleeps, spin_on_empty_gathers,
        spin_on_short_tasks};
    for (size_t i = 0; i < sizeof spinners / sizeof *spinners; i++) {
        int64_t least = INT64_MAX;
        for (int n = 0; n < ATTEMPTS && least >= 20; n++) {
            int64_t took = sleep_beside(spinners[i]);
            least = took < least ? took : least;
        }
        if (!check(least < 20))
            printf("spinner %zu: %lld ms\n", i, (long long)least);
    }
    return 0;
}

/* C's normal bug: every return value is ignored, also after a cancel. */
static int ignore_every_error(void *arg)
{
    struct spin *spin = arg;
    while (!spin->stop) {
        calm_checkpoint();
        (void)!calm_sleep(CALM_MS);
        spin->turns++;
    }
    return 0;
}

static int cancelled_task_that_ignores_it_does_not_starve_others(void *arg)
{
    struct spin spin = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, ignore_every_error, &spin);
    check_equal(calm_sleep(CALM_MS), 0);
    calm_cancel(task);
    check_equal(calm_sleep(5 * CALM_MS), 0);
    spin.stop = true;
    return calm_group_end(&group, 0);
}

static void *write_after_2_ms(void *arg)
{
    usleep(2000);
    ssize_t written = write(*(int *)arg, "x", 1);
    return (void *)(intptr_t)written;
}

static int read_a_pipe(void *arg)
{
    char byte;
    calm_file *pipe = *(calm_file **)arg;
    return (int)calm_file_read(pipe, &byte, 1);
}

/* How long it takes that a pipe, written after 2 ms, and a sleep of 5 ms are
 * both served while two tasks yield in a loop. */
static int64_t read_beside_yielders(void)
{
    int ends[2];
    check_equal(pipe(ends), 0);
    calm_file *file;
    check_equal(calm_file_from_fd(ends[0], "pipe", &file), 0);
    struct spin spin = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_task *reader = calm_spawn(&group, read_a_pipe, &file);
    for (int n = 0; n < 2; n++)
        calm_spawn(&group, spin_on_checkpoints, &spin);
    pthread_t thread;
    int64_t start = calm_now();
    check_equal(pthread_create(&thread, NULL, write_after_2_ms, &ends[1]), 0);
    check_equal(calm_sleep(5 * CALM_MS), 0);
    int result = 0;
    check_equal(calm_await(reader, &result), 0);
    check_equal(result, 1);
    int64_t took = ms_since(start);
    spin.stop = true;
    check_equal(calm_group_end(&group, 0), 0);
    pthread_join(thread, NULL);
    calm_file_close(file);
    close(ends[0]);
    close(ends[1]);
    return took;
}

static int yielders_starve_neither_descriptor_nor_timer(void *arg)
{
    int64_t least = INT64_MAX;
    for (int n = 0; n < ATTEMPTS && least >= 20; n++) {
        int64_t took = read_beside_yielders();
        least = took < least ? took : least;
    }
    check(least < 20);
    return 0;
}

struct turn {
    int *log, *count;
    int number;
};

static int take_turns(void *arg)
{
    struct turn *turn = arg;
    for (int i = 0; i < 3; i++) {
        turn->log[(*turn->count)++] = turn->number;
        calm_checkpoint();
    }
    return 0;
}

static int checkpoint_lets_each_other_run_once(void *arg)
{
    int log[12], count = 0;
    struct turn turns[4];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 4; i++) {
        turns[i] = (struct turn){log, &count, i};
        calm_spawn(&group, take_turns, &turns[i]);
    }
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 12; i++)
        check_equal(log[i], i % 4);
    return rc;
}

/* ---- the virtual clock ---- */

static int real_job(void *arg)
{
    usleep(30000);
    return 5;
}

static int sleep_and_note(void *arg)
{
    int rc = calm_sleep(CALM_S);
    *(int64_t *)arg = calm__clock_now();
    return rc;
}

/* A job on a pool is certain to come back: the clock waits for it. */
static int virtual_clock_does_not_jump_over_a_job(void *arg)
{
    int64_t woken = 0, start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    calm_task *sleeper = calm_spawn(&group, sleep_and_note, &woken);
    calm_checkpoint();
    check_equal(calm_blocking(real_job, NULL), 5);
    check_equal(calm_now(), start);
    check(!calm_task_done(sleeper));
    int64_t before = calm__clock_now();
    check_equal(calm_cpu(real_job, NULL), 5);
    check(calm__clock_now() - before >= 30 * CALM_MS);
    check_equal(calm_now(), start);
    int rc = calm_group_end(&group, 0);
    check_equal(calm_now() - start, CALM_S);
    check(woken > 0);
    return rc;
}

static int virtual_clock_stands_while_tasks_run(void *arg)
{
    int64_t start = calm_now();
    for (int i = 0; i < 1000; i++)
        calm_checkpoint();
    check_equal(calm_now(), start);
    struct timespec ms = {.tv_nsec = 2000000};
    nanosleep(&ms, NULL);
    check_equal(calm_now(), start);
    check(calm_seconds_since(start) == 0.0);
    calm_sleep(1500 * CALM_MS);
    check(calm_seconds_since(start) == 1.5);
    return 0;
}

static int sleep_two_days(void *arg)
{
    return calm_sleep(2 * 86400 * CALM_S);
}

static int clock_is_chosen_by_the_environment(void *arg)
{
    setenv("CALM_CLOCK", "virtual", 1);
    int rc = run_real(sleep_two_days, NULL);
    setenv("CALM_CLOCK", "lunar", 1);
    check_equal(run_real(sleep_two_days, NULL), -EINVAL);
    unsetenv("CALM_CLOCK");
    calm_error_clear();
    return rc;
}

static int real_sleeps_are_never_short(void *arg)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        int64_t start = calm_now();
        check_equal(calm_sleep(2 * CALM_MS), 0);
        int64_t took = calm_now() - start;
        check(took >= 2 * CALM_MS);
        least = took < least ? took : least;
    }
    check(least < 3 * CALM_MS);
    return 0;
}

/* ---- what a switch keeps ---- */

struct settings {
    int error;
    int rounding;
    bool flush;
    int wrong;
};

#if defined(__x86_64__)
static void flush_set(bool on)
{
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr = on ? mxcsr | 0x8040 : mxcsr & ~0x8040u;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static bool flush_get(void)
{
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr & 0x8000;
}

static int x87_rounding(void)
{
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word & 0x0c00;
}
#elif defined(__aarch64__)
static void flush_set(bool on)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = on ? fpcr | 1u << 24 : fpcr & ~(1ul << 24);
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

static bool flush_get(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr & 1u << 24;
}

static int x87_rounding(void)
{
    return fegetround();
}
#else
static bool flush_now;
static void flush_set(bool on)
{
}
static bool flush_get(void)
{
    return flush_now;
}
static int x87_rounding(void)
{
    return fegetround();
}
#endif

static void settings_compare(struct settings *settings, int control)
{
    settings->wrong += errno != settings->error;
    settings->wrong += fegetround() != settings->rounding;
    settings->wrong += flush_get() != settings->flush;
    settings->wrong += x87_rounding() != control;
}

static int keep_settings(void *arg)
{
    struct settings *settings = arg;
    /* A task begins with none of what others have set. */
    settings->wrong += errno != 0;
    settings->wrong += fegetround() != FE_TONEAREST;
    settings->wrong += flush_get();
    errno = settings->error;
    fesetround(settings->rounding);
    flush_set(settings->flush);
    int control = x87_rounding();
    for (int i = 0; i < 5; i++) {
        calm_checkpoint();
        settings_compare(settings, control);
        calm_sleep(CALM_MS);
        settings_compare(settings, control);
    }
    return 0; /* and leaves them as they are */
}

static int errno_and_float_settings_are_a_tasks_own(void *arg)
{
    static const int roundings[] = {
        FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};
    struct settings settings[16];
    calm_group group;
    errno = 77;
    int control = x87_rounding();
    calm_group_begin(&group);
    for (int i = 0; i < 16; i++) {
        settings[i] =
            (struct settings){100 + i, roundings[i % 4], i % 3 == 0, 0};
        calm_spawn(&group, keep_settings, &settings[i]);
    }
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 16; i++)
        check_equal(settings[i].wrong, 0);
    check_equal(errno, 77);
    check_equal(fegetround(), FE_TONEAREST);
    check_equal(x87_rounding(), control);
    check(!flush_get());
    return rc;
}

static int leave_settings(void *arg)
{
    fesetround(FE_UPWARD);
    errno = 33;
    return 0;
}

static int run_leaves_the_threads_settings(void *arg)
{
    errno = 11;
    fesetround(FE_DOWNWARD);
    check_equal(run_virtual(leave_settings, NULL), 0);
    check_equal(fegetround(), FE_DOWNWARD);
    fesetround(FE_TONEAREST);
    return 0;
}

/* Doubles and the callee-saved registers live across a switch. */
static int count_in_registers(void *arg)
{
    double sum = 0, factor = 1.0 + (double)(intptr_t)arg;
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5;
    for (int i = 0; i < 1000; i++) {
        sum += factor;
        a += 1, b += 2, c += 3, d += 4, e += 5;
        calm_checkpoint();
    }
    check(sum == 1000 * factor);
    return a == 1001 && b == 2002 && c == 3003 && d == 4004 && e == 5005
               ? 0
               : -EFAULT;
}

static int registers_live_across_switches(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 10; i++)
        calm_spawn(&group, count_in_registers, number(i));
    return calm_group_end(&group, 0);
}

/* ---- slow steps ---- */

static int hold_the_loop(void *arg)
{
    calm_name("crammer");
    usleep(250000);
    calm_checkpoint();
    usleep(1000);
    return 0;
}

static int slow_step_is_reported_once_with_the_name(void *arg)
{
    check_equal(run_real(hold_the_loop, NULL), 0);
    check_equal(test_report_count(), 1);
    check_contains(test_report(), "task 'crammer' held the loop for about ");
    return 0;
}

static int wait_long(void *arg)
{
    return calm_sleep(200 * CALM_MS);
}

static int long_wait_is_no_slow_step(void *arg)
{
    check_equal(run_real(wait_long, NULL), 0);
    check_equal(test_report_count(), 0);
    return 0;
}

/* ---- many ---- */

static int hundred_thousand_sleepers(void *arg)
{
    int count = test_sanitized ? 5000 : 100000;
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < count; i++)
        calm_release(calm_spawn(&group, sleep_ms, number(1000 + i % 100)));
    check_equal(calm_sleep(500 * CALM_MS), 0);
    check_equal(calm_group_size(&group), count);
    int rc = calm_group_end(&group, 0);
    check_equal(ms_since(start), 1099);
    return rc;
}

static int ring_of_ready_tasks_grows_while_it_turns(void *arg)
{
    struct spin spin = {0};
    calm_group group;
    calm_group_begin(&group);
    for (int i = 1; i <= 2000; i++) {
        calm_spawn(&group, spin_on_checkpoints, &spin);
        if (i % 100 == 0)
            calm_checkpoint();
    }
    calm_checkpoint();
    check(spin.turns >= 2000);
    spin.stop = true;
    return calm_group_end(&group, 0);
}

/* ---- runs ---- */

static int run_inside(void *arg)
{
    check_equal(run_virtual(return_number, NULL), -EBUSY);
    calm_error_clear();
    return 9;
}

static int run_inside_of_a_run_is_refused(void *arg)
{
    check_equal(run_virtual(run_inside, NULL), 9);
    return 0;
}

static int run_returns_the_result_and_the_sentence_of_main(void *arg)
{
    check_equal(run_virtual(return_number, number(42)), 42);
    check_equal(run_virtual(fail_saying, "main failed"), -EIO);
    check_text(calm_message(-EIO), "main failed");
    check_equal(run_virtual(return_number, number(-EIO)), -EIO);
    check_text(calm_message(-EIO), "Input/output error");
    calm_error_clear();
    return 0;
}

static int backend_has_a_name(void *arg)
{
    check_text(calm_backend_name(), test_backend);
    return 0;
}

static void *run_in_a_thread(void *arg)
{
    intptr_t rc = run_real(sleep_ms, number(5));
    return (void *)rc;
}

static int threads_have_runs_of_their_own(void *arg)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        check_equal(
            pthread_create(&threads[i], NULL, run_in_a_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *rc = number(1);
        pthread_join(threads[i], &rc);
        check(rc == NULL);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(spinning_task_does_not_starve_a_timer),
        real_test(cancelled_task_that_ignores_it_does_not_starve_others),
        real_test(yielders_starve_neither_descriptor_nor_timer),
        virtual_test(checkpoint_lets_each_other_run_once),
        virtual_test(virtual_clock_does_not_jump_over_a_job),
        virtual_test(virtual_clock_stands_while_tasks_run),
        plain_test(clock_is_chosen_by_the_environment),
        real_test(real_sleeps_are_never_short),
        virtual_test(errno_and_float_settings_are_a_tasks_own),
        plain_test(run_leaves_the_threads_settings),
        virtual_test(registers_live_across_switches),
        plain_test(slow_step_is_reported_once_with_the_name),
        plain_test(long_wait_is_no_slow_step),
        virtual_test(hundred_thousand_sleepers),
        virtual_test(ring_of_ready_tasks_grows_while_it_turns),
        plain_test(run_inside_of_a_run_is_refused),
        plain_test(run_returns_the_result_and_the_sentence_of_main),
        virtual_test(backend_has_a_name),
        plain_test(threads_have_runs_of_their_own),
    };
    return run_list("loop", tests, sizeof tests / sizeof *tests);
}
