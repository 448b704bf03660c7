/* rate.c - a limit of so much per time: a token bucket
 *
 * Nobody fills the bucket: what it holds follows from the level at the last
 * change and the time since then. The first in line sleeps until its amount is
 * there; the others wait for a lock, so that who needs much is not passed by
 * those who need little. A cancelled sleeper gives the lock up and has changed
 * nothing.
 */
#include "core/sched.h"

#include <calm/sync.h>

#include <assert.h>

/* A wait that an int64_t holds; nobody sees its end. */
#define LONGEST 4e18

void calm_rate_init(
    calm_rate *rate, double amount, int64_t period, double burst)
{
    assert(amount > 0 && period > 0 && burst > 0);
    *rate = (calm_rate){.pace = amount / (double)period,
        .burst = burst,
        .level = burst,
        .at = calm_now()};
}

static double level_now(const calm_rate *rate)
{
    double level = rate->level + rate->pace * (double)(calm_now() - rate->at);
    return level < rate->burst ? level : rate->burst;
}

int64_t calm_rate_wait(const calm_rate *rate, double amount)
{
    double wanted = amount < rate->burst ? amount : rate->burst;
    double missing = wanted - level_now(rate);
    /* What is missing by rounding alone is no reason to wait. */
    if (missing <= 1e-9 * rate->burst)
        return 0;
    double wait = missing / rate->pace + 1;
    return wait < LONGEST ? (int64_t)wait : CALM_FOREVER;
}

void calm_rate_give(calm_rate *rate, double amount)
{
    double level = level_now(rate) + amount;
    rate->level = level < rate->burst ? level : rate->burst;
    rate->at = calm_now();
}

int calm_rate_take(calm_rate *rate, double amount)
{
    int rc = calm_mutex_lock(&rate->turn);
    if (rc < 0)
        return rc;
    int64_t wait;
    while (rc == 0 && (wait = calm_rate_wait(rate, amount)) > 0)
        rc = calm_sleep(wait);
    if (rc == 0)
        calm_rate_give(rate, -amount);
    calm_mutex_unlock(&rate->turn);
    return rc;
}
