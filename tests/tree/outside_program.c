/* outside_program.c - a program that knows only what was installed */
#include <calm.h>
#include <stdio.h>
#include <string.h>

static int half(void *arg)
{
    int rc = calm_sleep(10 * CALM_MS);
    return rc < 0 ? rc : *(int *)arg / 2;
}

static int work(void *arg)
{
    int numbers[] = {2, 4};
    calm_result results[2];
    int rc = calm_map(half, numbers, 2, sizeof *numbers,
        &(calm_map_opts){.results = results});
    if (rc < 0)
        return rc;
    return results[0].code == 1 && results[1].code == 2 ? 7 : -1;
}

int main(void)
{
    int rc = calm_run_with(work, NULL, &(calm_run_opts){.virtual_clock = true});
    printf("%s %d\n", calm_version(), rc);
    return rc != 7;
}
