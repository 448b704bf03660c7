/* limit.c - what a host is asked for: at once, in a time, or not at all
 *
 * Those who wait queue for a lock, and only the one who holds it looks at the
 * limits. So the order of asking is kept, one change wakes one task, and the
 * reasons to wait can be many without a list for each. Closing wakes the
 * first, who leaves and thereby lets the next one see it.
 */
#include "ml/limit.h"

#include <calm/error.h>

#include <errno.h>

enum {
    LOW = 4,       /* where an automatic limit starts */
    CEILING = 128, /* and where it ends */
    RETRY_SHARE = 5,
    RETRY_LEAST = 10,
};

static const double decrease = 0.75;

void calm__limit_init(struct calm__limit *limit, size_t at_once)
{
    *limit = (struct calm__limit){.automatic = at_once == 0,
        .most = at_once ? (double)at_once : LOW,
        .ceiling = CEILING};
}

/* ---- entering ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A budget is whole again after its reset, but how much that is is not known:
 * the next answer tells. */
static int64_t budget_wait(
    struct calm__allowance *budget, double amount, int64_t now)
{
    if (budget->known && budget->reset > 0 && budget->reset <= now)
        budget->known = false;
    if (!budget->known || budget->reset == 0 || budget->remaining >= amount)
        return 0;
    return budget->reset - now;
}

static int64_t wait_for_budgets(
    struct calm__limit *limit, double tokens, int64_t now)
{
    return later(budget_wait(&limit->request_budget, 1, now),
        budget_wait(&limit->token_budget, tokens, now));
}

/* How long until nothing but the number of requests stands in the way. */
static int64_t wait_for_time(struct calm__limit *limit, double tokens)
{
    int64_t now = calm_now();
    int64_t wait = limit->resume > now ? limit->resume - now : 0;
    wait = later(wait, wait_for_budgets(limit, tokens, now));
    if (limit->requests.pace > 0)
        wait = later(wait, calm_rate_wait(&limit->requests, 1));
    if (limit->tokens.pace > 0)
        wait = later(wait, calm_rate_wait(&limit->tokens, tokens));
    return wait;
}

static int budget_check(struct calm__limit *limit, double tokens)
{
    int64_t wait = wait_for_budgets(limit, tokens, calm_now());
    if (limit->wait_most == 0 || wait <= limit->wait_most)
        return 0;
    return calm_fail(CALM_EREMOTE,
        "the server's budget is used up for %lld s, and %lld s is the most",
        (long long)(wait / CALM_S), (long long)(limit->wait_most / CALM_S));
}

/* Sleeps until something changes, or for so long. */
static int wait_for_change(struct calm__limit *limit, int64_t duration)
{
    calm_event_clear(&limit->changed);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, duration);
    int rc = calm_event_wait(&limit->changed);
    rc = calm_timeout_end(&timeout, rc);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static bool is_full(const struct calm__limit *limit)
{
    return (double)limit->in_use + 1 > limit->most;
}

static int wait_for_room(struct calm__limit *limit, double tokens)
{
    int rc = 0;
    while (rc == 0) {
        if (limit->closed)
            return limit->closed;
        rc = budget_check(limit, tokens);
        if (rc < 0)
            return rc;
        int64_t wait = wait_for_time(limit, tokens);
        if (wait == 0 && !is_full(limit))
            return 0;
        rc = wait_for_change(limit, wait > 0 ? wait : CALM_FOREVER);
    }
    return rc;
}

int calm__limit_enter(
    struct calm__limit *limit, double tokens, struct calm__pass *ret_pass)
{
    int rc = calm_mutex_lock(&limit->turn);
    if (rc < 0)
        return rc;
    rc = wait_for_room(limit, tokens);
    if (rc == 0) {
        limit->in_use++;
        if (limit->requests.pace > 0)
            calm_rate_give(&limit->requests, -1);
        if (limit->tokens.pace > 0)
            calm_rate_give(&limit->tokens, -tokens);
        limit->request_budget.remaining -= 1;
        limit->token_budget.remaining -= tokens;
        *ret_pass = (struct calm__pass){
            .tokens = tokens, .epoch = limit->epoch, .fulls = limit->fulls};
        limit->fulls += is_full(limit);
    }
    calm_mutex_unlock(&limit->turn);
    return rc;
}

/* ---- leaving, and what answers tell ---- */

/* Grows only if all of the limit was in use at a time while the request was
 * under way: what was never tried proves nothing. */
static void adapt(struct calm__limit *limit, const struct calm__pass *pass,
    enum calm__pressure pressure)
{
    if (pressure == CALM__PRESSURE_NONE && pass->fulls != limit->fulls) {
        limit->most += 1 / limit->most;
        if (limit->most > limit->ceiling)
            limit->most = limit->ceiling;
    }
    if (pressure == CALM__PRESSURE_HIGH && pass->epoch == limit->epoch) {
        limit->most *= decrease;
        if (limit->most < 1)
            limit->most = 1;
        limit->epoch++;
    }
}

void calm__limit_leave(struct calm__limit *limit, const struct calm__pass *pass,
    enum calm__pressure pressure)
{
    limit->in_use--;
    if (limit->automatic)
        adapt(limit, pass, pressure);
    calm_event_set(&limit->changed);
}

void calm__limit_pause(struct calm__limit *limit, int64_t time)
{
    if (time > limit->resume)
        limit->resume = time;
    calm_event_set(&limit->changed);
}

void calm__limit_used(
    struct calm__limit *limit, const struct calm__pass *pass, double tokens)
{
    if (limit->tokens.pace > 0)
        calm_rate_give(&limit->tokens, pass->tokens - tokens);
    calm_event_set(&limit->changed);
}

void calm__limit_learn(struct calm__limit *limit,
    struct calm__allowance *budget, double remaining, int64_t reset)
{
    double uncounted = limit->in_use > 0 ? (double)limit->in_use - 1 : 0;
    *budget = (struct calm__allowance){.known = true,
        .remaining = budget == &limit->request_budget ? remaining - uncounted
                                                      : remaining,
        .reset = reset};
    calm_event_set(&limit->changed);
}

void calm__limit_request(struct calm__limit *limit)
{
    limit->requests_made++;
}

bool calm__limit_retry(struct calm__limit *limit)
{
    if (limit->retries_made >= limit->requests_made / RETRY_SHARE + RETRY_LEAST)
        return false;
    limit->retries_made++;
    return true;
}

void calm__limit_close(struct calm__limit *limit, int code)
{
    limit->closed = code;
    calm_event_set(&limit->changed);
}
