/* test_compare.c - what follows from figures, and that there are some */
#include "test.h"

#include "base/fault.h"
#include "monitor/compare.h"

#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- figures made up: what a test does not say is unremarkable ---- */

struct made {
    double wall, spread; /* both sides, as a part of the wall */
    double cpu, mean;
    double memory; /* MiB */
    size_t units, done;
    double others;
};

static void make(calm_compare_figures *figures, const struct made *made,
    int repeat, size_t tasks)
{
    *figures = (calm_compare_figures){
        .code = made->wall > 0 ? 0 : -EIO,
        .message = "it broke",
        .repetitions = repeat,
        .wall = made->wall,
        .low = made->wall * (1 - made->spread),
        .high = made->wall * (1 + made->spread),
        .units = made->units ? made->units : 1,
        .done = made->done ? made->done : tasks,
        .mean = made->mean,
        .cpu = made->cpu,
        .memory = made->memory * 1024 * 1024,
        .others = made->others,
    };
}

static calm_comparison compare_made(const struct made made[CALM_APPROACHES])
{
    calm_comparison comparison = {
        .work = CALM_WORK_IO, .tasks = 10, .repeat = 5, .processors = 2};
    for (int i = 0; i < CALM_APPROACHES; i++)
        make(&comparison.approaches[i], &made[i], 5, 10);
    return comparison;
}

static void check_verdict(
    const calm_comparison *comparison, const char *expected)
{
    calm_bytes text = {0};
    check_equal(calm_compare_verdict(comparison, &text), 0);
    check_text(calm_bytes_text(&text), expected);
    calm_bytes_clear(&text);
}

static void check_limit(const calm_comparison *comparison,
    enum calm_approach approach, const char *expected)
{
    calm_bytes text = {0};
    check_equal(calm_compare_limit(comparison, approach, &text), 0);
    check_text(calm_bytes_text(&text), expected);
    calm_bytes_clear(&text);
}

static int the_fastest_is_chosen_when_it_stands_out(void *arg)
{
    const calm_comparison comparison = compare_made((struct made[]){
        {.wall = 2, .spread = .01, .cpu = 2, .memory = 2},
        {.wall = 2.1, .spread = .01, .cpu = 2, .memory = 3},
        {.wall = 1, .spread = .01, .cpu = 2, .memory = 3},
        {.wall = 1.5, .spread = .01, .cpu = 2, .memory = 6},
    });
    check_verdict(&comparison,
        "use threads: they are 2.00 times as fast as sync, "
        "2.10 times as fast as async, 1.50 times as "
        "fast as processes");
    return 0;
}

static int among_equals_the_cheapest_is_chosen(void *arg)
{
    const calm_comparison comparison = compare_made((struct made[]){
        {.wall = 1, .cpu = .001, .memory = 2},
        {.wall = .1002, .spread = .01, .cpu = .0005, .memory = 3},
        {.wall = .1001, .spread = .01, .cpu = .002, .memory = 3.1},
        {.wall = .1003, .spread = .01, .cpu = .002, .memory = 9},
    });
    check_verdict(&comparison,
        "use async: it is 9.98 times as fast as sync; threads are as fast "
        "within the noise, with 3.1 MiB and 2.000 ms of processor time to its "
        "3.0 MiB and 500.0 us; processes are as fast within the noise, with "
        "9.0 MiB and 2.000 ms of processor time to its 3.0 MiB and 500.0 us");
    return 0;
}

static int noise_is_no_difference(void *arg)
{
    const calm_comparison comparison = compare_made((struct made[]){
        {.wall = 1, .spread = .3, .cpu = 1, .memory = 2},
        {.wall = .8, .spread = .3, .cpu = 1, .memory = 2},
        {.wall = .9, .spread = .3, .cpu = 1, .memory = 2},
        {.wall = 2, .spread = .3, .cpu = 1, .memory = 2},
    });
    check_verdict(&comparison,
        "use sync: nothing is faster beyond the noise; async 1.25, threads "
        "1.11, processes 0.50 times its speed; the times scatter by up to 30 "
        "%: a quieter machine tells more");
    return 0;
}

/* Async is near the fastest, as it scatters, and the cheapest: but threads,
 * which are not near it, are before it. */
static int to_be_near_is_not_transitive(void *arg)
{
    calm_comparison comparison = compare_made((struct made[]){
        {.wall = 8, .spread = .01, .cpu = 8, .memory = 2},
        {.wall = 4, .cpu = 2, .memory = 3},
        {.wall = 2.5, .spread = .04, .cpu = 4, .memory = 6},
        {.wall = 1.8, .spread = .06, .cpu = 4, .memory = 9},
    });
    comparison.approaches[CALM_ASYNC].low = 1.9;
    comparison.approaches[CALM_ASYNC].high = 4.4;
    check_verdict(&comparison,
        "use processes: they are 4.44 times as fast as sync, 1.39 times as "
        "fast as threads; async cannot be told apart from that within the "
        "noise, with 3.0 MiB and 2.000 s of processor time to its 9.0 MiB and "
        "4.000 s; the times scatter by up to 31 %: a quieter machine tells "
        "more");
    return 0;
}

static int one_percent_is_no_difference_however_quiet_it_is(void *arg)
{
    calm_compare_figures a, b;
    make(&a, &(struct made){.wall = 1}, 5, 10);
    make(&b, &(struct made){.wall = 1.01}, 5, 10);
    check(!calm_compare_faster(&a, &b));
    make(&b, &(struct made){.wall = 1.03}, 5, 10);
    check(calm_compare_faster(&a, &b));
    check(!calm_compare_faster(&b, &a));
    make(&b, &(struct made){.wall = 1.1, .spread = .1}, 5, 10);
    check(!calm_compare_faster(&a, &b));
    return 0;
}

static int few_repetitions_tell_no_noise(void *arg)
{
    calm_compare_figures a, b;
    make(&a, &(struct made){.wall = 1}, 2, 10);
    make(&b, &(struct made){.wall = 1.15}, 2, 10);
    check(!calm_compare_faster(&a, &b));
    make(&b, &(struct made){.wall = 1.25}, 2, 10);
    check(calm_compare_faster(&a, &b));
    return 0;
}

static int what_is_doubtful_is_said(void *arg)
{
    calm_comparison comparison = compare_made((struct made[]){
        {.wall = 100, .cpu = 1, .memory = 2, .done = 3},
        {.wall = 1, .cpu = 1, .memory = 2, .others = 0.7},
        {.wall = 10, .cpu = 1, .memory = 2, .done = 5},
        {.wall = 0},
    });
    comparison.repeat = 2;
    check_verdict(&comparison,
        "use async: it is 100 times as fast as sync, 10.0 times as fast as "
        "threads; sync is estimated from 3 of 10 tasks; threads are estimated "
        "from 5 of 10 tasks; processes could not be measured; other programs "
        "used up to 0.7 of 2 processors meanwhile; fewer than three "
        "repetitions tell no noise, so less than 20 % counts as none");
    check_limit(&comparison, CALM_PROCESSES, "failed: it broke");
    return 0;
}

static int nothing_measured_is_no_verdict(void *arg)
{
    calm_comparison comparison = compare_made((struct made[4]){{.wall = 0}});
    check_verdict(&comparison, "no approach could be measured");
    return 0;
}

static int limits_follow_from_the_figures(void *arg)
{
    const calm_comparison waiting = compare_made((struct made[]){
        {.wall = 1, .cpu = .01, .mean = .1},
        {.wall = .1, .cpu = .001, .mean = .1, .units = 10},
        {.wall = .1, .cpu = .001, .mean = .1, .units = 10, .memory = 3},
        {.wall = .5, .cpu = .001, .mean = .1, .units = 2},
    });
    check_limit(&waiting, CALM_SYNC,
        "one task at a time, and 99 % of the time it waits");
    check_limit(&waiting, CALM_ASYNC,
        "not yet: all 10 wait at once, and each takes 100.0 us of a processor");
    check_limit(&waiting, CALM_THREADS,
        "not yet: one of the threads for each task, 3.0 MiB in all, 0.0 "
        "switches a task");
    check_limit(&waiting, CALM_PROCESSES,
        "2 processes for 10 tasks, and each does one at a time");
    const calm_comparison busy = compare_made((struct made[]){
        {.wall = 1, .cpu = .99, .mean = .1},
        {.wall = 1, .cpu = 1, .mean = .1, .units = 10},
        {.wall = .5, .cpu = .99, .mean = .1, .units = 2},
        {.wall = 1, .cpu = .9, .mean = .1, .units = 2, .others = 1},
    });
    check_limit(&busy, CALM_SYNC,
        "one processor is busy 99 % of the time, others are not used");
    check_limit(&busy, CALM_ASYNC,
        "one thread does it all, and its processor is busy: 100.0 ms a task");
    check_limit(&busy, CALM_THREADS, "all 2 processors are busy");
    check_limit(&busy, CALM_PROCESSES,
        "all 2 processors are busy, 1.0 of them with other programs");
    calm_comparison beside =
        compare_made((struct made[]){{.wall = 1, .cpu = .95, .others = .4},
            {.wall = 1, .cpu = 1, .mean = .1, .units = 10, .others = .9},
            {.wall = 1, .cpu = 1}, {.wall = 1, .cpu = 1}});
    check_limit(&beside, CALM_SYNC,
        "one processor is busy 95 % of the time, and 0.4 of 2 with other "
        "programs");
    check_limit(&beside, CALM_ASYNC,
        "all 2 processors are busy, 0.9 of them with other "
        "programs");
    beside.work = CALM_WORK_MIXED; /* its sums are on the CPU pool */
    beside.approaches[CALM_ASYNC].others = 0;
    check_limit(&beside, CALM_ASYNC,
        "about 1 at once keep 1.0 processors busy: they wait for what answers");
    const calm_comparison slow = compare_made((struct made[]){
        {.wall = 1, .cpu = .5, .mean = .1},
        {.wall = 1, .cpu = .5, .mean = .3, .units = 10},
        {.wall = 1, .cpu = .5, .mean = .1, .units = 10},
        {.wall = 1, .cpu = .5, .mean = .1, .units = 10},
    });
    check_limit(&slow, CALM_ASYNC,
        "about 3 at once keep 0.5 processors busy: they wait for what answers");
    check_limit(&slow, CALM_THREADS,
        "1.0 of 10 threads are at work on average; with starting and handing "
        "over a task takes 50.00 ms of a processor");
    return 0;
}

static int median_and_middle_half_are_those_of_the_repetitions(void *arg)
{
    calm_compare_figures figures = {.repetitions = 5, .walls = {5, 1, 4, 2, 3}};
    calm__figures_settle(&figures);
    check(figures.wall == 3 && figures.low == 2 && figures.high == 4);
    figures = (calm_compare_figures){.repetitions = 3, .walls = {9, 1, 4}};
    calm__figures_settle(&figures);
    check(figures.wall == 4 && figures.low == 1 && figures.high == 9);
    figures = (calm_compare_figures){.repetitions = 1, .walls = {7}};
    calm__figures_settle(&figures);
    check(figures.wall == 7 && figures.low == 7 && figures.high == 7);
    int64_t times[200];
    for (int i = 0; i < 200; i++)
        times[i] = (200 - i) * CALM_MS;
    calm__figures_times(&figures, times, 200);
    check(fabs(figures.p50 - 0.100) < 1e-9);
    check(fabs(figures.p99 - 0.198) < 1e-9);
    check(fabs(figures.mean - 0.1005) < 1e-9);
    return 0;
}

static int seconds_and_bytes_are_shown_in_fitting_units(void *arg)
{
    char text[16];
    check_text(calm__show_seconds(text, 1.0024), "1.002 s");
    check_text(calm__show_seconds(text, 0.1003), "100.3 ms");
    check_text(calm__show_seconds(text, 0.99999), "1.000 s");
    check_text(calm__show_seconds(text, 12345), "12345 s");
    check_text(calm__show_seconds(text, 0.0000123), "12.30 us");
    check_text(calm__show_seconds(text, 0), "0.000 ns");
    check_text(calm__show_bytes(text, 2.1 * 1024 * 1024), "2.1 MiB");
    check_text(calm__show_bytes(text, 116.4 * 1024 * 1024), "116 MiB");
    return 0;
}

static int json_and_picture_hold_all_of_it(void *arg)
{
    const calm_comparison comparison = compare_made(
        (struct made[]){{.wall = 1}, {.wall = 1}, {.wall = 1}, {.wall = 1}});
    calm_bytes text = {0};
    check_equal(calm_compare_json(&comparison, 1, &text), 0);
    calm_json_doc *doc;
    check_equal(calm_json_parse(text.data, text.len, NULL, &doc), 0);
    const calm_json_value *works =
        calm_json_get(calm_json_root(doc), "workloads");
    check_equal(calm_json_count(works), 1);
    check_equal(
        calm_json_count(calm_json_get(calm_json_at(works, 0), "approaches")),
        4);
    calm_json_free(doc);
    calm_bytes_reset(&text);
    check_equal(calm_compare_svg(&comparison, 1, &text), 0);
    check_contains(calm_bytes_text(&text), "</svg>");
    calm_bytes_clear(&text);
    return 0;
}

/* ---- the works ---- */

static int the_sum_of_squares_is_checked(void *arg)
{
    for (uint64_t amount = 0; amount < 1000; amount++)
        check_equal(calm__job_compute(amount), 0);
    check_equal(calm__job_compute(5000000), 0);
    return 0;
}

static bool is_there(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static int a_folder_of_its_own_goes_away(void *arg)
{
    struct calm__folder folder;
    char path[256];
    check_equal(calm__folder_open(&folder, NULL), 0);
    check_equal(folder.count, 200);
    snprintf(path, sizeof path, "%s", folder.made);
    check(is_there(path));
    calm__folder_close(&folder);
    check(!is_there(path));
    check_equal(waitpid(-1, NULL, WNOHANG), -1);
    check_equal(calm__folder_open(&folder, "/no such folder"), -ENOENT);
    check_contains(calm_message(-ENOENT), "'/no such folder'");
    calm__fault_arm("fork", 1);
    check_equal(calm__folder_open(&folder, NULL), -EAGAIN);
    calm__fault_disarm();
    return 0;
}

static int told[2];

static void die_with_folder(void)
{
    struct calm__folder folder;
    if (calm__folder_open(&folder, NULL) == 0 &&
        write(told[1], folder.made, strlen(folder.made) + 1) > 0)
        kill(getpid(), SIGKILL);
}

static int a_folder_goes_away_after_a_kill_too(void *arg)
{
    char text[64], path[256] = "";
    check_equal(pipe(told), 0);
    check(WIFSIGNALED(run_child(die_with_folder, text, sizeof text)));
    check(read(told[0], path, sizeof path - 1) > 0);
    for (int i = 0; i < 2000 && is_there(path); i++)
        usleep(1000);
    check(path[0] == '/' && !is_there(path));
    close(told[0]);
    close(told[1]);
    return 0;
}

/* ---- measuring ---- */

static int all_approaches_are_measured(void *arg)
{
    static calm_comparison comparison;
    const enum calm_work works[] = {
        CALM_WORK_IO, CALM_WORK_FILES, CALM_WORK_CPU, CALM_WORK_MIXED};
    for (size_t i = 0; i < 4; i++) {
        const calm_compare_opts opts = {.work = works[i],
            .tasks = 6,
            .duration = CALM_MS,
            .amount = 1000,
            .repeat = 3};
        int rc = calm_compare(&opts, &comparison);
        if (rc == -ENOSYS)
            continue; /* built without a server */
        check_equal(rc, 0);
        for (int k = 0; k < CALM_APPROACHES; k++) {
            const calm_compare_figures *figures = &comparison.approaches[k];
            check_text(figures->message, "");
            check_equal(figures->code, 0);
            check_equal(figures->repetitions, 3);
            check_equal(figures->done, 6);
            check(figures->wall > 0 && figures->low <= figures->wall);
            check(figures->high >= figures->wall && figures->p50 > 0);
            check(figures->p99 >= figures->p50 && figures->cpu > 0);
            check(figures->memory > 0);
        }
    }
    check_equal(waitpid(-1, NULL, WNOHANG), -1);
    return 0;
}

static int what_takes_long_is_cut_off_and_multiplied_up(void *arg)
{
    static calm_comparison comparison;
    const calm_compare_opts opts = {.tasks = 1000,
        .duration = 5 * CALM_MS,
        .most = 20 * CALM_MS,
        .repeat = 1,
        .warmup = -1};
    check_equal(calm_compare(&opts, &comparison), 0);
    const calm_compare_figures *sync = &comparison.approaches[CALM_SYNC];
    check(sync->done >= 1 && sync->done <= 5);
    check(sync->wall >= 5);
    check_equal(comparison.approaches[CALM_ASYNC].done, 1000);
    return 0;
}

static int a_folder_without_files_is_an_error(void *arg)
{
    static calm_comparison comparison;
    char folder[] = "/tmp/calm-test-XXXXXX";
    check(mkdtemp(folder) != NULL);
    const calm_compare_opts opts = {
        .work = CALM_WORK_FILES, .folder = folder, .repeat = 1};
    check_equal(calm_compare(&opts, &comparison), -ENOENT);
    check_contains(calm_message(-ENOENT), "there is no file in");
    rmdir(folder);
    return 0;
}

static int inside_a_run_it_is_refused(void *arg)
{
    static calm_comparison comparison;
    check_equal(calm_compare(&(calm_compare_opts){0}, &comparison), -EBUSY);
    return 0;
}

static int options_out_of_range_are_refused(void *arg)
{
    static calm_comparison comparison;
    check_equal(run_real(inside_a_run_it_is_refused, NULL), 0);
    check_equal(
        calm_compare(&(calm_compare_opts){.tasks = 1000001}, &comparison),
        -EINVAL);
    check_equal(calm_compare(&(calm_compare_opts){.repeat = 101}, &comparison),
        -EINVAL);
    check_equal(calm_compare(&(calm_compare_opts){.work = (enum calm_work)9},
                    &comparison),
        -EINVAL);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(the_fastest_is_chosen_when_it_stands_out),
        pure_test(among_equals_the_cheapest_is_chosen),
        pure_test(noise_is_no_difference),
        pure_test(to_be_near_is_not_transitive),
        pure_test(one_percent_is_no_difference_however_quiet_it_is),
        pure_test(few_repetitions_tell_no_noise),
        pure_test(what_is_doubtful_is_said),
        pure_test(nothing_measured_is_no_verdict),
        pure_test(limits_follow_from_the_figures),
        pure_test(median_and_middle_half_are_those_of_the_repetitions),
        pure_test(seconds_and_bytes_are_shown_in_fitting_units),
        pure_test(json_and_picture_hold_all_of_it),
        pure_test(the_sum_of_squares_is_checked),
        pure_test(a_folder_of_its_own_goes_away),
        pure_test(a_folder_goes_away_after_a_kill_too),
        plain_test(all_approaches_are_measured),
        plain_test(what_takes_long_is_cut_off_and_multiplied_up),
        plain_test(a_folder_without_files_is_an_error),
        plain_test(options_out_of_range_are_refused),
    };
    return run_list("compare", tests, sizeof tests / sizeof *tests);
}
