/* test_run.c - options, the environment, and kernels that refuse the ring */
#include "both_backends.h"

#include "base/fault.h"
#include "child.h"

#include <calm/run.h>
#include <calm/time.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int give_7(void *arg)
{
    return 7;
}

static int fail_with_a_sentence(void *arg)
{
    return calm_fail(-ENOENT, "no '%s' here", (const char *)arg);
}

static void the_result_of_main_comes_back_with_its_sentence(void **state)
{
    assert_int_equal(calm_run(give_7, NULL), 7);
    int rc = calm_run(fail_with_a_sentence, "cat");
    assert_int_equal(rc, -ENOENT);
    assert_string_equal(calm_message(rc), "no 'cat' here");
}

static int name_is_right(void *arg)
{
    return strcmp(calm_backend_name(), methods_now->name);
}

static void the_backend_is_the_one_that_was_chosen(void **state)
{
    assert_null(calm_backend_name());
    assert_int_equal(calm_run(name_is_right, NULL), 0);
    setenv("CALM_BACKEND", "nonsense", 1); /* the option wins */
    assert_int_equal(calm_run_with(name_is_right, NULL,
                         &(calm_run_opts){.backend = methods_now->name}),
        0);
    assert_null(calm_backend_name());
    setenv("CALM_BACKEND", methods_now->name, 1);
}

static int run_inside(void *arg)
{
    return calm_run(give_7, NULL);
}

static void what_makes_no_sense_is_refused(void **state)
{
    assert_int_equal(calm_run(run_inside, NULL), -EBUSY);
    assert_int_equal(calm_run(NULL, NULL), -EINVAL);
    assert_int_equal(
        calm_run_with(give_7, NULL, &(calm_run_opts){.stack_size = 100}),
        -EINVAL);
    assert_int_equal(calm_run_with(give_7, NULL,
                         &(calm_run_opts){.stack_size = (size_t)1 << 30}),
        -EINVAL);
    int rc = calm_run_with(give_7, NULL, &(calm_run_opts){.backend = "kqueue"});
    assert_int_equal(rc, -EINVAL);
    assert_string_equal(calm_message(rc),
        "unknown backend 'kqueue'\nhint: use io_uring, epoll or auto");
    setenv("CALM_CLOCK", "sundial", 1);
    assert_int_equal(calm_run(give_7, NULL), -EINVAL);
    unsetenv("CALM_CLOCK");
}

static int sleep_a_year(void *arg)
{
    return calm_sleep(365 * 86400 * CALM_S);
}

static void the_virtual_clock_is_chosen_by_option_or_environment(void **state)
{
    assert_int_equal(calm_run_with(sleep_a_year, NULL,
                         &(calm_run_opts){.virtual_clock = true}),
        0);
    setenv("CALM_CLOCK", "virtual", 1);
    assert_int_equal(calm_run(sleep_a_year, NULL), 0);
    unsetenv("CALM_CLOCK");
}

static int slack_is_1(void *arg)
{
    return prctl(PR_GET_TIMERSLACK) == 1 ? 0 : -ERANGE;
}

static void timers_are_precise_during_the_run_only(void **state)
{
    int before = prctl(PR_GET_TIMERSLACK);
    assert_int_equal(calm_run(slack_is_1, NULL), 0);
    assert_int_equal(prctl(PR_GET_TIMERSLACK), before);
}

static void without_memory_the_run_fails_and_leaves_nothing(void **state)
{
    int next_before = dup(0);
    close(next_before);
    int failures = 0;
    for (size_t nth = 1; nth < 20; nth++) {
        calm__fault_arm("memory", nth);
        int rc = calm_run(give_7, NULL);
        calm__fault_disarm();
        failures += rc == -ENOMEM;
        assert_true(rc == 7 || rc == -ENOMEM);
    }
    assert_true(failures > 0);
    int next_after = dup(0);
    close(next_after);
    assert_int_equal(next_after, next_before);
}

static void without_descriptors_the_run_fails_with_a_hint(void **state)
{
    struct rlimit limit, low;
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &low);
    int rc = calm_run(give_7, NULL);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(rc, -EMFILE);
    assert_non_null(strstr(calm_message(rc), "hint: "));
}

/* ---- kernels that refuse the ring ---- */

static bool refuse(long number, int code)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K,
            SECCOMP_RET_ERRNO | ((unsigned)code & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int is_epoll(void *arg)
{
    return strcmp(calm_backend_name(), "epoll");
}

static void child_without_ring(void *arg)
{
    int code = *(int *)arg;
    if (!refuse(SYS_io_uring_setup, code))
        _exit(77);
    unsetenv("CALM_BACKEND");
    if (calm_run(is_epoll, NULL) != 0)
        _exit(1);
    setenv("CALM_BACKEND", "auto", 1);
    if (calm_run(is_epoll, NULL) != 0)
        _exit(2);
    setenv("CALM_BACKEND", "io_uring", 1);
    int rc = calm_run(give_7, NULL);
    if (rc != -code)
        _exit(3);
    if (!strstr(calm_message(rc), "io_uring is not available: ") ||
        !strstr(calm_message(rc), "\nhint: "))
        _exit(4);
    struct calm__uring_report report;
    calm__uring_describe(&report);
    if (report.code != -code || report.mode || !report.hint)
        _exit(5);
    _exit(42);
}

static void a_refused_ring_leads_to_epoll_unless_demanded(void **state)
{
    int codes[] = {EPERM, ENOSYS, ENOMEM};
    if (!run_if_uring_is_there())
        skip();
    for (int i = 0; i < 3; i++) {
        char output[64];
        int status =
            run_in_child(child_without_ring, &codes[i], output, sizeof output);
        if (exited_with(status, 77))
            skip();
        assert_true(exited_with(status, 42));
        assert_string_equal(output, ""); /* without a word */
    }
}

static int sleep_a_little(void *arg)
{
    return calm_sleep(CALM_MS);
}

static void child_without_pwait2(void *arg)
{
    if (!refuse(SYS_epoll_pwait2, *(int *)arg))
        _exit(77);
    int64_t begin = calm_now();
    _exit(calm_run(sleep_a_little, NULL) == 0 && calm_now() - begin >= CALM_MS
              ? 42
              : 1);
}

static void a_kernel_without_epoll_pwait2_sleeps_as_well(void **state)
{
    int codes[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        int status = run_in_child(child_without_pwait2, &codes[i], NULL, 0);
        if (exited_with(status, 77))
            skip();
        assert_true(exited_with(status, 42));
    }
}

/* ---- reports ---- */

static void keep_report(void *ctx, const char *text)
{
    snprintf(ctx, 256, "%s", text);
}

static int wait_for_nothing(void *arg)
{
    return calm_sleep(CALM_FOREVER);
}

static void child_debugging(void *arg)
{
    setenv("CALM_DEBUG", arg, 1);
    calm_run(wait_for_nothing, NULL);
}

static void reports_go_where_they_are_wanted(void **state)
{
    char text[256] = "";
    calm_run_with(wait_for_nothing, NULL,
        &(calm_run_opts){.report = keep_report, .report_ctx = text});
    assert_non_null(strstr(text, "deadlock"));
    run_in_child(child_debugging, "1", text, sizeof text);
    assert_ptr_equal(strstr(text, "calm: deadlock"), text);
    run_in_child(child_debugging, "0", text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest run_tests[] = {
        cmocka_unit_test(the_result_of_main_comes_back_with_its_sentence),
        cmocka_unit_test(the_backend_is_the_one_that_was_chosen),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(the_virtual_clock_is_chosen_by_option_or_environment),
        cmocka_unit_test(timers_are_precise_during_the_run_only),
        cmocka_unit_test(without_memory_the_run_fails_and_leaves_nothing),
        cmocka_unit_test(without_descriptors_the_run_fails_with_a_hint),
        cmocka_unit_test(a_refused_ring_leads_to_epoll_unless_demanded),
        cmocka_unit_test(a_kernel_without_epoll_pwait2_sleeps_as_well),
        cmocka_unit_test(reports_go_where_they_are_wanted),
    };
    return RUN_ON_BOTH_BACKENDS(run_tests);
}
