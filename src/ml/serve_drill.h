/* ml/serve_drill.h - misbehaving on purpose, to try clients
 *
 * A drill is asked for in words (calm-serve(1) has them all):
 *
 *     delay=50ms,slow=20:0.01,fail=503:0.1
 *
 * Chance is drawn from a generator with a seed, once for each question in the
 * order of the requests, so that a run can be had again.
 */
#ifndef CALM_ML_SERVE_DRILL_H
#define CALM_ML_SERVE_DRILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum calm__drill_delay {
    CALM__DRILL_FIXED,       /* always A */
    CALM__DRILL_UNIFORM,     /* from A to B */
    CALM__DRILL_EXPONENTIAL, /* A on average */
    CALM__DRILL_LOGNORMAL,   /* A in the middle, SIGMA wide */
};

/* What to do, each with its share of the requests from 0 to 1. */
struct calm__drill {
    enum calm__drill_delay delay;
    int64_t a, b;
    double sigma;
    double slow, slow_factor; /* takes so many times the delay */

    double fail, throttle;
    int fail_status;
    int64_t throttle_wait; /* for Retry-After */

    size_t concurrent; /* requests at once, 0: any */
    int concurrent_status;

    double cut, reset, silent, fewer, malformed;
    bool poisoned;
    float poison; /* a value that fails the request that has it */

    uint64_t limit; /* requests in a window, 0: any */
    int64_t window;
    uint64_t quota; /* requests in all, 0: any */
    uint64_t times; /* misdeeds in all, 0: any */
    bool openai;    /* there is /v1/embeddings */
};

/* What a service remembers of its drills. */
struct calm__drills {
    struct calm__drill standing;
    bool any;   /* the standing one does something */
    bool asked; /* a request may ask for its own */
    uint64_t random;

    size_t active; /* requests that count against CONCURRENT */
    uint64_t used; /* of the quota */
    uint64_t in_window;
    int64_t window_began;
    uint64_t done; /* misdeeds */
};

/* Adds what a list with commas asks for. Returns 0, or -EINVAL with a
 * sentence. */
int calm__drill_parse(struct calm__drill *drill, const char *text);

/* Whether chance says yes to a SHARE of the requests. */
bool calm__drill_chance(struct calm__drills *drills, double share);

/* How long to wait. */
int64_t calm__drill_delay(
    struct calm__drills *drills, const struct calm__drill *drill);

#endif
