/* retry.c - trying again, after growing waits */
#include "base/error.h"
#include "base/random.h"

#include <calm/retry.h>

#include <errno.h>

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

int64_t calm_retry_wait(const calm_retry_opts *opts, int attempt)
{
    int64_t wait = or_default(opts->first_wait, 500 * CALM_MS);
    int64_t longest = or_default(opts->longest_wait, 30 * CALM_S);
    if (opts->growth == CALM_LINEAR) {
        if (__builtin_mul_overflow(wait, (int64_t)attempt, &wait))
            wait = longest;
    } else if (opts->growth == CALM_EXPONENTIAL) {
        for (int i = 1; i < attempt && wait < longest; i++)
            wait = wait > longest / 2 ? longest : 2 * wait;
    }
    return wait < longest ? wait : longest;
}

static bool retryable(const calm_retry_opts *opts, void *arg, int code)
{
    if (code == -ECANCELED)
        return false;
    return !opts->retryable || opts->retryable(arg, code);
}

int calm_retry(calm_fn *fn, void *arg, const calm_retry_opts *given)
{
    calm_retry_opts opts = given ? *given : (calm_retry_opts){0};
    if (opts.attempts < 0 || opts.first_wait < 0 || opts.longest_wait < 0 ||
        opts.total < 0)
        return calm_fail(-EINVAL, "an option of a retry is below zero");
    int attempts = opts.attempts ? opts.attempts : 5;
    int64_t start = calm_now();
    for (int attempt = 1;; attempt++) {
        int rc = fn(arg);
        if (rc >= 0 || attempt >= attempts || !retryable(&opts, arg, rc))
            return rc;
        int64_t wait = calm_retry_wait(&opts, attempt);
        if (!opts.no_jitter)
            wait = calm__random_upto(wait);
        if (opts.total && wait > opts.total - (calm_now() - start))
            return rc;
        if (opts.on_retry)
            opts.on_retry(arg, attempt, rc, wait);
        struct calm__error *error = calm__error_take();
        int slept = calm_sleep(wait);
        calm__error_free(error);
        if (slept < 0)
            return slept;
    }
}
