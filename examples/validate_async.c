/* validate_async.c - checks that tasks return, gather keeps order, errors
 * arrive; exits with 1 when one of them does not
 */
#include <calm.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int answer(void *arg)
{
    return calm_sleep(100 * CALM_MS) < 0 ? -ECANCELED : 42;
}

static int twice(void *arg)
{
    int *number = arg;
    *number *= 2;
    return calm_sleep((8 - *number) * 10 * CALM_MS);
}

static int failing(void *arg)
{
    return calm_fail(-EINVAL, "task %d failed", 7);
}

static int check(const char *what, bool good)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    return !good;
}

static int validate(void *arg)
{
    int pair[] = {1, 2};
    int bad = check("a task returns its result", answer(NULL) == 42);
    calm_map(twice, pair, 2, sizeof *pair, NULL);
    bad += check("results keep their order", pair[0] == 2 && pair[1] == 4);
    int rc = calm_gather(&(calm_call){failing, NULL}, 1, NULL);
    bool told = strcmp(calm_message(rc), "task 7 failed") == 0;
    bad += check("an error arrives with its sentence", rc == -EINVAL && told);
    printf("%d of 3 checks failed\n", bad);
    return bad ? -EPROTO : 0;
}

int main(void)
{
    return calm_run(validate, NULL) < 0;
}
