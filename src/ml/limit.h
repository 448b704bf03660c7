/* ml/limit.h - what a host is asked for: how many requests at once, how many
 * in a time, and when not at all
 *
 * Every request passes here before each of its attempts:
 *
 *     rc = calm__limit_enter(limit, tokens, &pass);     waits for all of it
 *     ... send, receive ...
 *     calm__limit_leave(limit, &pass, outcome);
 *
 * With a fixed concurrency the limit is that. An automatic one is found by
 * additive increase and multiplicative decrease, as TCP does (D. Chiu and R.
 * Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
 * Avoidance", 1989): it grows by one for each round of answers that came
 * while all of it was in use, and shrinks to three quarters when the server
 * asks for less (429, 503) or lets a request time out. Requests that were
 * under way at a decrease do not cause another one.
 */
#ifndef CALM_ML_LIMIT_H
#define CALM_ML_LIMIT_H

#include <calm/sync.h>
#include <calm/time.h>

/* What a server has told of one budget, of requests or of tokens. */
struct calm__allowance {
    bool known;
    double remaining;
    int64_t reset; /* when it is whole again, a calm_now(); 0: unknown */
};

struct calm__limit {
    /* How many at once. */
    bool automatic;
    double most;    /* now; at least 1 */
    double ceiling; /* of an automatic one */
    size_t in_use;
    uint64_t epoch; /* counts the decreases */
    uint64_t fulls; /* how often an entry has used all of it up */

    /* How many in a time; the pace of a rate is 0 when there is none. */
    calm_rate requests, tokens;
    struct calm__allowance request_budget, token_budget;

    int64_t wait_most; /* for a budget to be whole again; 0: any time */

    int64_t resume; /* nobody enters before this time */
    int closed;     /* the code for all who would enter, or 0 */

    calm_mutex turn;    /* those who wait to enter; the first looks */
    calm_event changed; /* wakes the first */

    /* For a budget of retries: see calm__limit_retry(). */
    uint64_t requests_made, retries_made;
};

/* AT_ONCE 0 is automatic. */
void calm__limit_init(struct calm__limit *limit, size_t at_once);

/* What one request holds between enter and leave. */
struct calm__pass {
    double tokens;         /* estimated */
    uint64_t epoch, fulls; /* the limit's, when it entered */
};

/* How a request ended, as far as the limit goes. */
enum calm__pressure {
    CALM__PRESSURE_NONE,  /* answered */
    CALM__PRESSURE_OTHER, /* tells nothing: a failure, a cancel */
    CALM__PRESSURE_HIGH,  /* 429, 503, or timed out: less at once, please */
};

/* Waits until a request of about TOKENS tokens may be sent, in the order of
 * asking. Returns 0, the code given to close(), CALM_EREMOTE when a budget is
 * used up for longer than wait_most, or -ECANCELED. */
CALM_SUSPENDS int calm__limit_enter(
    struct calm__limit *limit, double tokens, struct calm__pass *ret_pass);
void calm__limit_leave(struct calm__limit *limit, const struct calm__pass *pass,
    enum calm__pressure pressure);

/* Nobody enters before TIME; the latest of several counts. */
void calm__limit_pause(struct calm__limit *limit, int64_t time);

/* The tokens that a request really took, when the server has told. */
void calm__limit_used(
    struct calm__limit *limit, const struct calm__pass *pass, double tokens);

/* The server has told: REMAINING of a budget that is whole again at RESET (0
 * when it did not say). What is under way may not have been counted yet. */
void calm__limit_learn(struct calm__limit *limit,
    struct calm__allowance *budget, double remaining, int64_t reset);

/* A budget keeps a dead server from being hammered: as many retries as a fifth
 * of the requests, and 10. Counts a request before its first attempt; takes a
 * retry from the budget, false when it is used up. */
void calm__limit_request(struct calm__limit *limit);
bool calm__limit_retry(struct calm__limit *limit);

/* From now on everybody who would enter is told CODE. */
void calm__limit_close(struct calm__limit *limit, int code);

#endif
