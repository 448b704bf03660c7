/* clock.c - the only place that asks the kernel for the time */
#include "base/clock.h"

#include <time.h>

static int64_t clock_read(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t calm__clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

int64_t calm__clock_date(void)
{
    return clock_read(CLOCK_REALTIME);
}
