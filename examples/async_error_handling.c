/* async_error_handling.c - operations that fail, counted, and tried again
 *
 * The failures are made by a random number; the handling is what one would
 * write for real ones.
 */
#include <calm.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPERATIONS = 20 };

static int risky_operation(void *arg)
{
    int rc = calm_sleep(100 * CALM_MS);
    if (rc == 0 && drand48() < 0.3)
        rc = calm_fail(-EINVAL, "operation %d failed", *(int *)arg);
    return rc;
}

static int run_all(void)
{
    int numbers[OPERATIONS], successful = 0, failed = 0, errors = 0;
    calm_result results[OPERATIONS];
    for (int i = 0; i < OPERATIONS; i++)
        numbers[i] = i;
    int rc = calm_map(risky_operation, numbers, OPERATIONS, sizeof *numbers,
        &(calm_map_opts){.results = results});
    for (int i = 0; i < OPERATIONS; i++) {
        if (results[i].code == 0)
            successful++;
        else if (results[i].code == -EINVAL)
            failed++;
        else
            errors++;
        if (results[i].code < 0)
            printf("warning: %s\n", results[i].message);
    }
    printf("%d operations: %d successful, %d failed, %d errors\n", OPERATIONS,
        successful, failed, errors);
    return rc;
}

static void say_retry(void *arg, int attempt, int code, int64_t wait)
{
    printf("attempt %d: %s, again in %.1f s\n", attempt, calm_message(code),
        wait / (double)CALM_S);
}

static int retry_one(void)
{
    int number = OPERATIONS;
    calm_retry_opts opts = {.attempts = 3,
        .first_wait = 500 * CALM_MS,
        .growth = CALM_LINEAR,
        .no_jitter = true,
        .on_retry = say_retry};
    int rc = calm_retry(risky_operation, &number, &opts);
    printf("operation %d: %s\n", number, rc < 0 ? calm_message(rc) : "good");
    return 0;
}

static int run(void *arg)
{
    int rc = run_all();
    return rc < 0 ? rc : retry_one();
}

int main(void)
{
    srand48(calm_now());
    int rc = calm_run(run, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", calm_message(rc));
    return rc < 0;
}
