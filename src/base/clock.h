/* base/clock.h - the only place that asks the kernel for the time */
#ifndef CALM_BASE_CLOCK_H
#define CALM_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds on CLOCK_MONOTONIC. */
int64_t calm__clock_now(void);

/* Nanoseconds since 1970: for dates that others have written. */
int64_t calm__clock_date(void);

#endif
