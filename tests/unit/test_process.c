/* test_process.c - other programs: what they say, how they end, what is left */
#include "test.h"

#include "base/fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define argv(...) ((const char *[]){__VA_ARGS__, NULL})
#define shell(script) argv("/bin/sh", "-c", script)

static int open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int descriptors_before;

static void nothing_before(void)
{
    descriptors_before = open_descriptors();
}

static void nothing_is_left(void)
{
    check_equal(waitpid(-1, NULL, WNOHANG), -1);
    check_equal(errno, ECHILD);
    check_equal(open_descriptors(), descriptors_before);
}

static calm_process_result result;

/* ---- run ---- */

static int output_errors_and_status_are_told_apart(void *arg)
{
    nothing_before();
    check_equal(calm_process_run(
                    shell("echo out; echo err >&2; exit 7"), NULL, &result),
        0);
    check_equal(result.exit.status, 7);
    check_equal(result.exit.signal, 0);
    check_text(calm_bytes_text(&result.out), "out\n");
    check_text(calm_bytes_text(&result.err), "err\n");
    calm_process_result_clear(&result);
    check_equal(calm_process_run(shell("kill -9 $$"), NULL, &result), 0);
    check_equal(result.exit.status, -1);
    check_equal(result.exit.signal, SIGKILL);
    calm_process_result_clear(&result);
    nothing_is_left();
    return 0;
}

static int a_program_is_looked_for_in_path(void *arg)
{
    check_equal(calm_process_run(argv("true"), NULL, &result), 0);
    check_equal(result.exit.status, 0);
    calm_process_result_clear(&result);
    return 0;
}

static int what_cannot_be_started_is_an_error_with_a_sentence(void *arg)
{
    nothing_before();
    calm_process *process;
    check_equal(
        calm_process_run(argv("calm-no-such-program"), NULL, &result), -ENOENT);
    check_text(calm_message(-ENOENT),
        "cannot run 'calm-no-such-program': No such file or directory\n"
        "hint: it is in no folder of PATH");
    check_equal(calm_process_run(argv("/"), NULL, &result), -EACCES);
    check_contains(calm_message(-EACCES), "cannot run '/'");
    check_equal(calm_process_run(argv("true"),
                    &(calm_process_opts){.folder = "/no such folder"}, &result),
        -ENOENT);
    check_contains(calm_message(-ENOENT), "in '/no such folder'");
    check_equal(calm_process_run(argv(NULL), NULL, &result), -EINVAL);
    check_equal(calm_process_start(argv("true"),
                    &(calm_process_opts){.out = CALM_STREAM_OUT}, &process),
        -EINVAL);
    nothing_is_left();
    return 0;
}

static int environment_and_folder_are_the_ones_given(void *arg)
{
    const calm_process_opts opts = {
        .environment = argv("ANIMAL=cat"), .folder = "/usr"};
    check_equal(
        calm_process_run(shell("echo $ANIMAL $HOME; pwd"), &opts, &result), 0);
    check_text(calm_bytes_text(&result.out), "cat\n/usr\n");
    calm_process_result_clear(&result);
    return 0;
}

static int input_is_empty_unless_it_is_given(void *arg)
{
    check_equal(calm_process_run(argv("cat"), NULL, &result), 0);
    check_equal(result.out.len, 0);
    calm_process_result_clear(&result);
    const calm_process_opts opts = {.input = "abc", .input_len = 3};
    check_equal(calm_process_run(argv("cat"), &opts, &result), 0);
    check_text(calm_bytes_text(&result.out), "abc");
    calm_process_result_clear(&result);
    return 0;
}

static int errors_can_go_where_output_goes(void *arg)
{
    const calm_process_opts opts = {.err = CALM_STREAM_OUT};
    check_equal(
        calm_process_run(shell("echo a; echo b >&2"), &opts, &result), 0);
    check_text(calm_bytes_text(&result.out), "a\nb\n");
    check_equal(result.err.len, 0);
    calm_process_result_clear(&result);
    return 0;
}

static int much_input_and_output_at_once_do_not_block_each_other(void *arg)
{
    size_t len = 8 << 20;
    char *input = malloc(len);
    memset(input, 'x', len);
    nothing_before();
    const calm_process_opts opts = {.input = input, .input_len = len};
    check_equal(
        calm_process_run(shell("tee /dev/stderr | cat"), &opts, &result), 0);
    check_equal(result.exit.status, 0);
    check_equal(result.out.len, len);
    check_equal(result.err.len, len);
    check(memcmp(result.out.data, input, len) == 0);
    calm_process_result_clear(&result);
    free(input);
    nothing_is_left();
    return 0;
}

static int a_program_need_not_read_its_input(void *arg)
{
    size_t len = 1 << 20;
    char *input = calloc(1, len);
    const calm_process_opts opts = {.input = input, .input_len = len};
    check_equal(calm_process_run(argv("true"), &opts, &result), 0);
    check_equal(result.exit.status, 0);
    calm_process_result_clear(&result);
    free(input);
    return 0;
}

static int endless_output_is_bounded_and_ends_the_program(void *arg)
{
    nothing_before();
    const calm_process_opts opts = {.most = 100000};
    check_equal(calm_process_run(argv("yes"), &opts, &result), CALM_ELIMIT);
    check_text(calm_message(CALM_ELIMIT),
        "'yes' printed more than 100000 bytes and was ended");
    check(result.out.len > 100000);
    calm_process_result_clear(&result);
    nothing_is_left();
    return 0;
}

static int a_program_starts_with_ordinary_signals(void *arg)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &before);
    check_equal(calm_process_run(
                    argv("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"),
                    NULL, &result),
        0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    unsigned long blocked = ~0ul, ignored = ~0ul;
    sscanf(calm_bytes_text(&result.out), "SigBlk: %lx SigIgn: %lx", &blocked,
        &ignored);
    check_equal(blocked, 0);
    check_equal(ignored & 0x7fffffff, 0); /* 32 and 33 are glibc's own */
    calm_process_result_clear(&result);
    return 0;
}

static int a_program_gets_the_standard_streams_only(void *arg)
{
    int fd = open("/dev/null", O_RDONLY); /* not close-on-exec */
    check_equal(
        calm_process_run(shell("ls /proc/self/fd | wc -l"), NULL, &result), 0);
    close(fd);
    /* The three, and the folder that ls looks into. */
    check_equal(atoi(calm_bytes_text(&result.out)), 4);
    calm_process_result_clear(&result);
    return 0;
}

/* ---- cancel ---- */

static const char stubborn[] =
    "trap '' TERM; echo ready; while :; do sleep 0.05; done";

static int run_for(
    int64_t time, const char *const *command, const calm_process_opts *opts)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, time);
    int rc = calm_process_run(command, opts, &result);
    calm_process_result_clear(&result);
    return calm_timeout_end(&timeout, rc);
}

static int a_cancelled_run_terminates_its_program(void *arg)
{
    nothing_before();
    int64_t start = calm_now();
    check_equal(
        run_for(100 * CALM_MS, argv("sleep", "1000"), NULL), -ETIMEDOUT);
    check(ms_since(start) < 1500); /* SIGTERM was enough */
    nothing_is_left();
    return 0;
}

static int a_stopped_program_is_terminated_too(void *arg)
{
    nothing_before();
    int64_t start = calm_now();
    check_equal(
        run_for(100 * CALM_MS, shell("kill -STOP $$"), NULL), -ETIMEDOUT);
    check(ms_since(start) < 1500);
    nothing_is_left();
    return 0;
}

static int one_that_ignores_it_is_killed_after_the_grace_time(void *arg)
{
    nothing_before();
    const calm_process_opts opts = {.grace = 200 * CALM_MS, .new_group = true};
    int64_t start = calm_now();
    check_equal(run_for(300 * CALM_MS, shell(stubborn), &opts), -ETIMEDOUT);
    check(ms_since(start) >= 490);
    check(ms_since(start) < 1900);
    nothing_is_left();
    return 0;
}

static int without_grace_it_is_killed_at_once(void *arg)
{
    nothing_before();
    const calm_process_opts opts = {.grace = -1, .new_group = true};
    int64_t start = calm_now();
    check_equal(run_for(200 * CALM_MS, shell(stubborn), &opts), -ETIMEDOUT);
    check(ms_since(start) < 1500);
    nothing_is_left();
    return 0;
}

static int a_group_is_ended_with_its_leader(void *arg)
{
    nothing_before();
    const calm_process_opts opts = {.out = CALM_STREAM_PIPE, .new_group = true};
    calm_process *process;
    check_equal(calm_process_start(
                    shell("sleep 1000 & echo $!; wait"), &opts, &process),
        0);
    int fd = calm_process_take_pipe(process, 1);
    char text[32] = "";
    check_equal(calm_fd_wait(fd, CALM_FD_READABLE), 0);
    check(read(fd, text, sizeof text - 1) > 0);
    check_equal(kill(atoi(text), 0), 0);
    calm_process_close(process);
    /* Its reader's end: nobody has the pipe open any more. */
    check_equal(calm_fd_wait(fd, CALM_FD_READABLE), 0);
    check_equal(read(fd, text, 1), 0);
    calm_fd_forget(fd);
    close(fd);
    nothing_is_left();
    return 0;
}

static int run_sleep(void *arg)
{
    calm_process_result own;
    int rc = calm_process_run(argv("sleep", "1000"), NULL, &own);
    calm_process_result_clear(&own);
    return rc;
}

static int a_run_is_cancelled_in_every_state(void *arg)
{
    nothing_before();
    for (int steps = 0; steps < 30; steps++) {
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, run_sleep, NULL);
        for (int i = 0; i < steps; i++)
            calm_sleep(200 * CALM_US);
        int code = 0;
        calm_cancel(task);
        check_equal(calm_await(task, &code), 0);
        check_equal(code, -ECANCELED);
        check_equal(calm_group_end(&group, 0), 0);
        nothing_is_left();
    }
    return 0;
}

static int a_cancelled_task_starts_nothing(void *arg)
{
    calm_process *process;
    nothing_before();
    check_equal(run_for(0, argv("true"), NULL), -ETIMEDOUT);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 0);
    check_equal(calm_process_start(argv("true"), NULL, &process), -ECANCELED);
    check_equal(calm_timeout_end(&timeout, 0), 0);
    nothing_is_left();
    return 0;
}

/* ---- the long form ---- */

static int a_program_is_talked_to_through_its_pipes(void *arg)
{
    nothing_before();
    const calm_process_opts opts = {
        .in = CALM_STREAM_PIPE, .out = CALM_STREAM_PIPE};
    calm_process *process;
    calm_socket *in = NULL, *out = NULL;
    calm_exit how;
    char text[8] = "";
    check_equal(calm_process_start(argv("cat"), &opts, &process), 0);
    check(calm_process_id(process) > 0);
    check_equal(
        calm_socket_from_fd(calm_process_take_pipe(process, 0), "cat", &in), 0);
    check_equal(
        calm_socket_from_fd(calm_process_take_pipe(process, 1), "cat", &out),
        0);
    check_equal(calm_process_take_pipe(process, 1), -EBADF);
    check_equal(calm_process_take_pipe(process, 2), -EBADF);
    for (int i = 0; i < 3; i++) {
        check_equal(calm_socket_send(in, "ping", 4), 0);
        check_equal(calm_socket_recv_exactly(out, text, 4), 1);
        check_text(text, "ping");
    }
    calm_socket_close(in);
    check_equal(calm_process_wait(process, &how), 0);
    check_equal(how.status, 0);
    check_equal(calm_process_wait(process, &how), 0);
    check_equal(calm_process_kill(process, SIGTERM), -ESRCH);
    calm_socket_close(out);
    calm_process_close(process);
    nothing_is_left();
    return 0;
}

static int a_wait_that_is_cancelled_leaves_the_program_running(void *arg)
{
    nothing_before();
    calm_process *process;
    calm_exit how;
    calm_timeout timeout;
    check_equal(calm_process_start(argv("sleep", "1000"), NULL, &process), 0);
    calm_timeout_begin(&timeout, 50 * CALM_MS);
    check_equal(calm_timeout_end(&timeout, calm_process_wait(process, &how)),
        -ETIMEDOUT);
    check_equal(kill(calm_process_id(process), 0), 0);
    check_equal(calm_process_kill(process, 12345), -EINVAL);
    check_equal(calm_process_kill(process, SIGUSR1), 0);
    check_equal(calm_process_wait(process, &how), 0);
    check_equal(how.signal, SIGUSR1);
    calm_process_close(process);
    nothing_is_left();
    return 0;
}

static int waited;

static int wait_for(void *arg)
{
    waited = calm_process_wait(arg, NULL);
    return 0;
}

static int a_second_waiter_is_busy_and_a_close_wakes_the_first(void *arg)
{
    nothing_before();
    calm_process *process;
    check_equal(calm_process_start(argv("sleep", "1000"), NULL, &process), 0);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, wait_for, process);
    for (int i = 0; i < 5; i++)
        check_equal(calm_checkpoint(), 0);
    check_equal(calm_process_wait(process, NULL), -EBUSY);
    calm_process_close(process);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(waited, -EBADF);
    nothing_is_left();
    return 0;
}

static int closing_what_has_ended_reaps_it(void *arg)
{
    nothing_before();
    calm_process *process;
    check_equal(calm_process_start(argv("true"), NULL, &process), 0);
    check_equal(calm_sleep(50 * CALM_MS), 0);
    calm_process_close(process);
    calm_process_close(NULL);
    nothing_is_left();
    return 0;
}

static int closing_keeps_the_error_of_the_task(void *arg)
{
    calm_process *process;
    check_equal(calm_process_start(argv("sleep", "1000"), NULL, &process), 0);
    int rc = calm_fail(-EIO, "what went wrong");
    calm_process_close(process);
    check_text(calm_message(rc), "what went wrong");
    calm_error_clear();
    return 0;
}

static int an_exit_status_that_was_lost_says_why(void *arg)
{
    signal(SIGCHLD, SIG_IGN);
    int rc = calm_process_run(argv("sleep", "0.1"), NULL, &result);
    signal(SIGCHLD, SIG_DFL);
    check_equal(rc, -ECHILD);
    check_contains(calm_message(rc), "SIGCHLD");
    calm_process_result_clear(&result);
    return 0;
}

/* ---- many, and too few ---- */

enum { PROCESSES = 200 };

static int say_number(void *arg)
{
    char text[16];
    snprintf(text, sizeof text, "%d", (int)(intptr_t)arg);
    calm_process_result own;
    int rc = calm_process_run(argv("echo", text), NULL, &own);
    check(rc == 0 && atoi(calm_bytes_text(&own.out)) == (int)(intptr_t)arg);
    calm_process_result_clear(&own);
    return rc;
}

static int two_hundred_programs_run_at_once(void *arg)
{
    nothing_before();
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < PROCESSES; i++)
        calm_spawn(&group, say_number, number(i));
    check_equal(calm_group_end(&group, 0), 0);
    nothing_is_left();
    return 0;
}

static int two_hundred_programs_are_cancelled_at_once(void *arg)
{
    nothing_before();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 100 * CALM_MS);
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < PROCESSES; i++)
        calm_spawn(&group, run_sleep, NULL);
    check_equal(
        calm_timeout_end(&timeout, calm_group_end(&group, 0)), -ETIMEDOUT);
    nothing_is_left();
    return 0;
}

static int run_echo(void)
{
    const calm_process_opts opts = {.input = "abc", .input_len = 3};
    int rc = calm_process_run(argv("cat"), &opts, &result);
    calm_process_result_clear(&result);
    return rc;
}

static int whatever_fails_nothing_is_left(void *arg)
{
    static const struct {
        const char *name;
        int code;
        size_t times;
    } faults[] = {
        {"memory", -ENOMEM, 4}, {"pipe", -EMFILE, 3}, {"pidfd", -EMFILE, 1}};
    check_equal(run_echo(), 0); /* starts threads, makes room */
    nothing_before();
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (size_t nth = 1; nth <= faults[i].times; nth++) {
            calm__fault_arm(faults[i].name, nth);
            int rc = run_echo();
            calm__fault_disarm();
            check(rc == faults[i].code || (rc == 0 && i == 0));
            nothing_is_left();
        }
    }
    return 0;
}

/* Without standard streams the numbers 0 to 2 are the pipes' at first. */
static void run_without_streams(void)
{
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    close(STDERR_FILENO);
    int rc = calm_run(say_number, number(42));
    dup2(copy, STDERR_FILENO);
    if (rc == 0)
        fprintf(stderr, "good\n");
    exit(0);
}

static int a_program_without_streams_of_its_own_can_run_others(void *arg)
{
    char text[256];
    check_equal(run_child(run_without_streams, text, sizeof text), 0);
    check_text(text, "good\n");
    return 0;
}

static int close_outside(void *arg)
{
    return calm_process_start(argv("sleep", "1000"), NULL, arg);
}

static int a_process_is_closed_outside_of_a_run_too(void *arg)
{
    calm_process *process = NULL;
    nothing_before();
    check_equal(calm_process_run(argv("true"), NULL, &result), -EPERM);
    check_equal(run_real(close_outside, &process), 0);
    calm_process_close(process);
    nothing_is_left();
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(output_errors_and_status_are_told_apart),
        real_test(a_program_is_looked_for_in_path),
        real_test(what_cannot_be_started_is_an_error_with_a_sentence),
        real_test(environment_and_folder_are_the_ones_given),
        real_test(input_is_empty_unless_it_is_given),
        real_test(errors_can_go_where_output_goes),
        real_test(much_input_and_output_at_once_do_not_block_each_other),
        real_test(a_program_need_not_read_its_input),
        real_test(endless_output_is_bounded_and_ends_the_program),
        real_test(a_program_starts_with_ordinary_signals),
        real_test(a_program_gets_the_standard_streams_only),
        real_test(a_cancelled_run_terminates_its_program),
        real_test(a_stopped_program_is_terminated_too),
        real_test(one_that_ignores_it_is_killed_after_the_grace_time),
        real_test(without_grace_it_is_killed_at_once),
        real_test(a_group_is_ended_with_its_leader),
        real_test(a_run_is_cancelled_in_every_state),
        real_test(a_cancelled_task_starts_nothing),
        real_test(a_program_is_talked_to_through_its_pipes),
        real_test(a_wait_that_is_cancelled_leaves_the_program_running),
        real_test(a_second_waiter_is_busy_and_a_close_wakes_the_first),
        real_test(closing_what_has_ended_reaps_it),
        real_test(closing_keeps_the_error_of_the_task),
        real_test(an_exit_status_that_was_lost_says_why),
        real_test(two_hundred_programs_run_at_once),
        real_test(two_hundred_programs_are_cancelled_at_once),
        real_test(whatever_fails_nothing_is_left),
        plain_test(a_program_without_streams_of_its_own_can_run_others),
        plain_test(a_process_is_closed_outside_of_a_run_too),
    };
    return run_list("process", tests, sizeof tests / sizeof *tests);
}
