/* calm/retry.h - trying again, after growing waits
 *
 *     rc = calm_retry(fetch, &request, &(calm_retry_opts){.attempts = 3});
 *
 * The wait before attempt n + 1 is first_wait * 2^(n - 1), or n times
 * first_wait when it grows linearly, and at most longest_wait; with jitter it
 * is drawn evenly between zero and that ("full jitter", M. Brooker:
 * "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), so that
 * many clients do not come back in step.
 */
#ifndef CALM_RETRY_H
#define CALM_RETRY_H

#include <calm/task.h>
#include <calm/time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum calm_growth { CALM_EXPONENTIAL, CALM_LINEAR, CALM_CONSTANT };

/* Options of calm_retry(); zero means default. */
typedef struct calm_retry_opts {
    int attempts;         /* in all, with the first; default 5 */
    int64_t first_wait;   /* default 500 ms */
    int64_t longest_wait; /* default 30 s */
    int64_t total;        /* no further attempt after so long; default none */
    enum calm_growth growth;
    bool no_jitter;

    /* Whether CODE is worth another attempt; default: every code but
     * -ECANCELED, which never is. */
    bool (*retryable)(void *arg, int code);

    /* Is told before each wait: the attempt that failed, from 1, with what
     * (calm_message(code) is its sentence), and how long the wait will be. */
    void (*on_retry)(void *arg, int attempt, int code, int64_t wait);
} calm_retry_opts;

/* Calls fn(arg) until it returns zero or more, or is not to be tried again.
 * OPTS may be NULL. Returns what the last call returned, with its sentence;
 * -ECANCELED when the caller is cancelled during a wait; -EINVAL for options
 * below zero. Both callbacks get ARG. */
CALM_SUSPENDS int calm_retry(
    calm_fn *fn, void *arg, const calm_retry_opts *opts);

/* The wait after failed attempt number ATTEMPT, from 1, without jitter. For
 * those who schedule their attempts by themselves. */
int64_t calm_retry_wait(const calm_retry_opts *opts, int attempt);

#ifdef __cplusplus
}
#endif
#endif
