/* calm/time.h - the clock, sleeping, timeouts and shields
 *
 * Times and durations are int64_t nanoseconds on the monotonic clock, written
 * 100 * CALM_MS. A timeout is a scope and not a parameter: any code, however
 * deep, that runs between begin and end is bounded, and no call needs a twin
 * with a deadline:
 *
 *     calm_timeout timeout;
 *     calm_timeout_begin(&timeout, 10 * CALM_S);
 *     int rc = fetch(url);
 *     rc = calm_timeout_end(&timeout, rc);      -ETIMEDOUT if it took longer
 *
 * When the time is up every suspending call inside the scope fails with
 * -ECANCELED; the code cleans up and returns as it would for any error, and
 * the end call turns that -ECANCELED into -ETIMEDOUT. Scopes nest, and end in
 * the reverse order of their beginning, in the task that began them.
 */
#ifndef CALM_TIME_H
#define CALM_TIME_H

#include <calm/error.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CALM_NS ((int64_t)1)
#define CALM_US (1000 * CALM_NS)
#define CALM_MS (1000 * CALM_US)
#define CALM_S (1000 * CALM_MS)
#define CALM_FOREVER INT64_MAX

/* The time now, in nanoseconds since an unknown start. In a task it is the
 * loop's clock, which a virtual clock may replace; elsewhere the kernel's. */
int64_t calm_now(void);

/* The seconds since START, a value of calm_now(), for printing. */
double calm_seconds_since(int64_t start);

/* Sleeps for at least DURATION; zero or less lets the other tasks run once,
 * CALM_FOREVER sleeps until cancelled. Returns 0, or -ECANCELED when the task
 * is cancelled before the time is up, or was already. */
CALM_SUSPENDS int calm_sleep(int64_t duration);

/* The same, until calm_now() has reached TIME. */
CALM_SUSPENDS int calm_sleep_until(int64_t time);

/* A scope that ends its code after a while. Calm's while it is begun, and
 * must stay where it is. */
typedef struct calm_timeout {
    uint64_t opaque[12];
} calm_timeout;

/* Begins a scope that expires DURATION from now; CALM_FOREVER never does,
 * zero or less expires at once. Does not suspend and cannot fail. */
void calm_timeout_begin(calm_timeout *timeout, int64_t duration);

/* The same with the time at which it expires. */
void calm_timeout_begin_at(calm_timeout *timeout, int64_t time);

/* Moves the deadline of a begun scope that has not expired, to DURATION from
 * now. Returns 0, or -ETIMEDOUT when it has expired already. */
int calm_timeout_reset(calm_timeout *timeout, int64_t duration);

/* Ends the scope with RC, what its code returned. Returns -ETIMEDOUT when the
 * scope expired and RC is the -ECANCELED that this caused; otherwise RC, as it
 * is: a success or another error of the code wins over the expiry, and so
 * does a cancel from outside of the scope. Does not suspend. */
int calm_timeout_end(calm_timeout *timeout, int rc);

/* Whether the scope has expired. */
bool calm_timeout_expired(const calm_timeout *timeout);

/* fn(arg) in a timeout scope: the short form. Returns what FN returned, or
 * -ETIMEDOUT. */
CALM_SUSPENDS int calm_with_timeout(
    int64_t duration, int (*fn)(void *arg), void *arg);

/* A scope that a cancel from outside does not enter: for clean-up that must
 * wait. The cancel is seen at the first suspending call after the end; what
 * is begun inside (timeouts, groups) works as ever. Bound it by a timeout. */
typedef struct calm_shield {
    uint64_t opaque[12];
} calm_shield;

void calm_shield_begin(calm_shield *shield);
void calm_shield_end(calm_shield *shield);

#ifdef __cplusplus
}
#endif
#endif
