/* serve_drill.c - misbehaving on purpose, on a request's way
 *
 *     before   too many at once, a quota, a limit; waiting, failing, silence
 *     within   a poisoned value; one prediction less
 *     after    what is done to the answer
 */
#include "ml/serve.h"

#include "io/server.h"

#include <errno.h>
#include <stdio.h>

/* How often it is seen whether a silent request's client has left. */
#define LOOK_EVERY (200 * CALM_MS)

static const char drill_header[] = "X-Calm-Drill";

/* A misdeed happens by chance, and no more often than the drill says. */
static bool happens(struct calm__exchange *exchange, double share)
{
    struct calm__drills *drills = &exchange->service->drills;
    uint64_t times = exchange->drill.times;
    if (!calm__drill_chance(drills, share) ||
        (times > 0 && drills->done >= times))
        return false;
    drills->done++;
    return true;
}

/* ---- before ---- */

static int concurrency_check(struct calm__exchange *exchange)
{
    struct calm__drills *drills = &exchange->service->drills;
    const struct calm__drill *drill = &exchange->drill;
    if (drill->concurrent > 0 && drills->active >= drill->concurrent) {
        drills->done++;
        return calm__exchange_refuse(exchange, drill->concurrent_status,
            "a drill: %zu requests are there already", drills->active);
    }
    exchange->drilled = true;
    drills->active++;
    return 1;
}

static int quota_check(struct calm__exchange *exchange)
{
    struct calm__drills *drills = &exchange->service->drills;
    if (exchange->drill.quota == 0 || drills->used++ < exchange->drill.quota)
        return 1;
    drills->done++;
    exchange->code = "insufficient_quota";
    return calm__exchange_refuse(
        exchange, 429, "a drill: the quota is used up");
}

static int limit_headers(
    struct calm__exchange *exchange, uint64_t left, int64_t reset)
{
    const struct {
        const char *name;
        uint64_t value;
    } headers[] = {{"x-ratelimit-limit-requests", exchange->drill.limit},
        {"x-ratelimit-remaining-requests", left}};
    char text[32];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof headers / sizeof *headers; i++) {
        snprintf(
            text, sizeof text, "%llu", (unsigned long long)headers[i].value);
        rc = calm_respond_header(exchange->request, headers[i].name, text);
    }
    snprintf(text, sizeof text, "%lldms", (long long)(reset / CALM_MS + 1));
    return rc < 0 ? rc
                  : calm_respond_header(
                        exchange->request, "x-ratelimit-reset-requests", text);
}

static int retry_after(struct calm__exchange *exchange, int64_t wait)
{
    char text[32];
    snprintf(
        text, sizeof text, "%lld", (long long)((wait + CALM_S - 1) / CALM_S));
    int rc = calm_respond_header(exchange->request, "Retry-After", text);
    if (rc < 0 || wait % CALM_S == 0)
        return rc;
    snprintf(text, sizeof text, "%lld", (long long)(wait / CALM_MS));
    return calm_respond_header(exchange->request, "retry-after-ms", text);
}

static int limit_check(struct calm__exchange *exchange)
{
    struct calm__drills *drills = &exchange->service->drills;
    const struct calm__drill *drill = &exchange->drill;
    int64_t now = calm_now();
    if (drill->limit == 0)
        return 1;
    if (drills->window_began == 0 ||
        now - drills->window_began >= drill->window) {
        drills->window_began = now;
        drills->in_window = 0;
    }
    int64_t reset = drills->window_began + drill->window - now;
    bool refused = drills->in_window >= drill->limit;
    drills->in_window += !refused;
    uint64_t left =
        drills->in_window < drill->limit ? drill->limit - drills->in_window : 0;
    int rc = limit_headers(exchange, left, reset);
    if (rc < 0 || !refused)
        return rc < 0 ? rc : 1;
    drills->done++;
    exchange->code = "rate_limit_exceeded";
    rc = retry_after(exchange, reset);
    return rc < 0 ? rc
                  : calm__exchange_refuse(
                        exchange, 429, "a drill: the limit is reached");
}

static int fail_check(struct calm__exchange *exchange)
{
    const struct calm__drill *drill = &exchange->drill;
    if (happens(exchange, drill->throttle)) {
        exchange->code = "rate_limit_exceeded";
        int rc = retry_after(exchange, drill->throttle_wait);
        return rc < 0 ? rc
                      : calm__exchange_refuse(
                            exchange, 429, "a drill: too many requests");
    }
    if (happens(exchange, drill->fail))
        return calm__exchange_refuse(
            exchange, drill->fail_status, "a drill: it fails");
    return 1;
}

/* Until the client has left, or the server ends. */
static int silence(struct calm__exchange *exchange)
{
    int rc = 0;
    while (rc == 0 && !calm_request_gone(exchange->request))
        rc = calm_sleep(LOOK_EVERY);
    calm__respond_reset(exchange->request);
    exchange->status = 503;
    return rc < 0 ? rc : 0;
}

static int wait(struct calm__exchange *exchange)
{
    const struct calm__drill *drill = &exchange->drill;
    if (happens(exchange, drill->silent))
        return silence(exchange);
    if (drill->a == 0)
        return 1;
    int rc = calm_sleep(calm__drill_delay(&exchange->service->drills, drill));
    return rc < 0 ? rc : 1;
}

/* The standing drill is for work alone: health and metrics stay true. A
 * request that asks for its own gets it anywhere. */
static int drill_choose(struct calm__exchange *exchange, bool works)
{
    struct calm__drills *drills = &exchange->service->drills;
    const char *own = drills->asked
                          ? calm_request_header(exchange->request, drill_header)
                          : NULL;
    if (works)
        exchange->drill = drills->standing;
    if (!own)
        return works && drills->any;
    int rc = calm__drill_parse(&exchange->drill, own);
    if (rc == -EINVAL)
        return calm__exchange_refuse(exchange, 400, "%s", calm_message(rc));
    return rc < 0 ? rc : 1;
}

int calm__drill_before(struct calm__exchange *exchange, bool works)
{
    static int (*const steps[])(struct calm__exchange *) = {
        concurrency_check, quota_check, limit_check, wait, fail_check};
    int rc = drill_choose(exchange, works);
    if (rc == 0 && exchange->status == 0)
        return 1;
    for (size_t i = 0; rc == 1 && i < sizeof steps / sizeof *steps; i++)
        rc = steps[i](exchange);
    return rc;
}

/* ---- within ---- */

int calm__drill_within(
    struct calm__exchange *exchange, const struct calm__matrix *matrix)
{
    const struct calm__drill *drill = &exchange->drill;
    for (size_t i = 0; drill->poisoned && i < matrix->rows * matrix->columns;
         i++)
        if (matrix->values[i] == drill->poison)
            return calm_fail(CALM_EFORMAT, "a drill: a value is poisoned");
    return 0;
}

bool calm__drill_fewer(struct calm__exchange *exchange)
{
    return happens(exchange, exchange->drill.fewer);
}

/* ---- after ---- */

void calm__drill_after(struct calm__exchange *exchange)
{
    const struct calm__drill *drill = &exchange->drill;
    if (!exchange->drilled)
        return;
    exchange->service->drills.active--;
    if (exchange->status != 200)
        return;
    if (happens(exchange, drill->cut))
        calm__respond_cut(exchange->request);
    else if (happens(exchange, drill->reset))
        calm__respond_reset(exchange->request);
    else if (happens(exchange, drill->malformed))
        calm__respond_shorten(exchange->request, 3);
}
