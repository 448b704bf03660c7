/* ml/hints.h - what the headers of an answer say of limits and waits
 *
 *     struct calm__hints hints = CALM__HINTS_NONE;
 *     for each header
 *         calm__hints_header(&hints, name, value, now);
 *     if (hints.requests.remaining == 0)
 *         no more until hints.requests.reset
 *
 * Servers agree neither on names nor on units: `x-ratelimit-reset-requests` is
 * 12ms, 1s, 6m0s, a number of seconds, or -1; `RateLimit: "api";r=0;t=55` says
 * both at once; `Retry-After` is seconds, also with a fraction, or a date. What
 * cannot be read is as if it was not there. Times are nanoseconds from now; a
 * time beyond a century is a century.
 *
 * Nothing here allocates or fails. Any thread.
 */
#ifndef CALM_ML_HINTS_H
#define CALM_ML_HINTS_H

#include <stddef.h>
#include <stdint.h>

/* Of one kind of thing; -1 is unknown. */
struct calm__budget {
    int64_t limit;
    int64_t remaining;
    int64_t reset; /* until it is full again, ns */
};

struct calm__hints {
    struct calm__budget requests, tokens;
    int64_t retry_after_ms; /* ns; of the header of that name; -1: none */
    int64_t retry_after;    /* ns; -1: none */
    int should_retry;       /* x-should-retry: 1 true, 0 false, -1 unknown */
};

#define CALM__HINTS_NONE                                                       \
    (struct calm__hints)                                                       \
    {                                                                          \
        .requests = {-1, -1, -1}, .tokens = {-1, -1, -1},                      \
        .retry_after_ms = -1, .retry_after = -1, .should_retry = -1            \
    }

/* Takes a header into account; the name in any case. VALUE has LEN bytes. NOW
 * is the wall clock, in ns since 1970, for dates. */
void calm__hints_header(struct calm__hints *hints, const char *name,
    const char *value, size_t len, int64_t now);

/* How long to wait at least before a request that failed is sent again:
 * retry-after-ms, else Retry-After, else the reset of what is used up; -1 when
 * nothing says so. */
int64_t calm__hints_wait(const struct calm__hints *hints);

/* A duration such as 12ms, 1.5s, 6m0s, 1h2m or 7 (seconds). Returns ns, or -1
 * for what is none, and for negative ones. */
int64_t calm__duration_parse(const char *text, size_t len);

/* A date as HTTP writes it, in all three forms. Returns ns since 1970, or -1.
 */
int64_t calm__http_date_parse(const char *text, size_t len);

#endif
