/* cmd_doctor.c - calm doctor: what this machine offers, and whether it works
 *
 * The checks are those of examples/validate_async.c, and one for each kind of
 * wait that needs the kernel.
 */
#include "cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int answer(void *arg)
{
    int rc = calm_sleep(10 * CALM_MS);
    return rc < 0 ? rc : 42;
}

static int twice(void *arg)
{
    int *number = arg;
    *number *= 2;
    return calm_sleep((8 - *number) * CALM_MS);
}

static int failing(void *arg)
{
    return calm_fail(-EINVAL, "task %d failed", 7);
}

static int computing(void *arg)
{
    long sum = 0;
    for (long i = 0; i < 1000; i++)
        sum += i;
    return sum == 499500 ? 0 : -EDOM;
}

static bool task_returns(void)
{
    int result = 0;
    calm_group group;
    calm_group_begin(&group);
    int rc = calm_await(calm_spawn(&group, answer, NULL), &result);
    return calm_group_end(&group, rc) == 0 && result == 42;
}

static bool gather_keeps_order(void)
{
    int n[] = {1, 2, 3};
    return calm_map(twice, n, 3, sizeof *n, NULL) == 0 && n[0] == 2 &&
           n[1] == 4 && n[2] == 6;
}

static bool error_arrives(void)
{
    int rc = calm_gather(&(calm_call){failing, NULL}, 1, NULL);
    return rc == -EINVAL && strcmp(calm_message(rc), "task 7 failed") == 0;
}

static bool timeout_expires(void)
{
    return calm_with_timeout(10 * CALM_MS, answer, NULL) == -ETIMEDOUT ||
           calm_with_timeout(1 * CALM_MS, answer, NULL) == -ETIMEDOUT;
}

static bool pool_computes(void)
{
    return calm_cpu(computing, NULL) == 0;
}

static bool file_comes_back(void)
{
    char name[64];
    snprintf(name, sizeof name, "/tmp/calm-doctor-%d", (int)getpid());
    calm_bytes text = {0};
    bool good = calm_file_write_all(name, "calm", 4, CALM_REPLACE) == 0 &&
                calm_file_read_all(name, &text) == 0 && text.len == 4;
    calm_bytes_clear(&text);
    unlink(name);
    return good;
}

static const struct {
    const char *what;
    bool (*good)(void);
} checks[] = {
    {"a task returns its result", task_returns},
    {"gather keeps the order of its arguments", gather_keeps_order},
    {"an error arrives with its sentence", error_arrives},
    {"a timeout ends what takes too long", timeout_expires},
    {"the CPU pool computes", pool_computes},
    {"a file that was written is read", file_comes_back},
};

static int examine(void *arg)
{
    calm_bytes text = {0};
    int rc = calm_inspect(&text);
    if (rc < 0)
        return rc;
    fputs(calm_bytes_text(&text), stdout);
    calm_bytes_clear(&text);
    putchar('\n');
    int bad = 0;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        bool good = checks[i].good();
        bad += !good;
        printf("%s %s\n", good ? "ok  " : "FAIL", checks[i].what);
    }
    return bad ? calm_fail(-EPROTO, "%d checks failed", bad) : 0;
}

int cmd_doctor(int argc, char **argv)
{
    if (argc > 1 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        puts("Usage: calm doctor\n\nPrints what this machine offers to calm, "
             "and checks that it works.");
        return EXIT_DONE;
    }
    if (argc > 1)
        return complain("doctor: unknown argument '%s'", argv[1]);
    int rc = calm_run(examine, NULL);
    if (rc < 0)
        complain("doctor: %s", calm_message(rc));
    return rc < 0 ? EXIT_LOCAL : EXIT_DONE;
}
