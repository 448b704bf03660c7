/* ml/sender.h - a request to an API, sent until it has its fate
 *
 * The one layer that tries again. What is tried again, when, and how often
 * stands in docs/errors.md; the table in judge.c is the same.
 *
 *     enter the limit -> send -> judge -+-> answered
 *          ^                            +-> refused: wrong for these rows
 *          |        wait, no slot held  +-> failed: for good
 *          +---------- again <----------+-> stop: the run must end
 */
#ifndef CALM_ML_SENDER_H
#define CALM_ML_SENDER_H

#include "ml/api.h"
#include "ml/failures.h"
#include "ml/limit.h"

#include <calm/http.h>
#include <calm/retry.h>

struct calm__sender {
    /* Set by the opener. */
    calm_http *http;
    calm_retry_opts retry;   /* attempts, waits, and their total for a row */
    int64_t request_timeout; /* of one attempt */
    int64_t wait_most;       /* a server that asks for more ends the run */
    int64_t patience;        /* with one that is away */

    struct calm__limit limit;
    struct calm__failures failures;
    uint64_t retries;
    size_t waiting; /* requests between two attempts */
    void (*on_wait)(struct calm__sender *sender); /* it has become more */
    bool reached; /* some answer has come, of whatever kind */

    /* Whether the server is there; see the gate in sender.c. */
    int unserved;       /* attempts in a row that nobody has worked on */
    int64_t away_since; /* the first of them */
    int64_t gone_since; /* nobody can be connected to; 0: somebody could */
    int probes;         /* attempts that were made one at a time, in a row */
    bool probing;       /* one is under way */
    calm_event gate;    /* pulses when that is over */

    /* Why the run must end: a code, with its sentence in STOP_CAUSE; 0 while
     * it need not. Waits for retries end when STOPPED is set. */
    int stop;
    calm_event stopped;
    char stop_cause[CALM_MESSAGE_MAX];
};

enum calm__fate {
    CALM__ANSWERED,
    CALM__REFUSED, /* 400, 413, 422, or an answer that cannot be read */
    CALM__FAILED,
};

struct calm__sending {
    /* Set by the caller; the url, body and headers stay its own. */
    const char *method; /* NULL: POST */
    const char *url;
    const void *body;
    size_t len;
    const calm_http_header *headers;
    size_t header_count;
    double tokens;  /* about so many */
    bool divisible; /* when it is refused, its rows are sent apart */
    bool uncounted; /* its failure says nothing of those that follow */
    size_t weight;  /* of its fate among the last 100; 0: 1. A batch that was
                     * split counts by its rows, or the bad ones, which stand
                     * alone, would outnumber the good ones, which do not */
    int64_t since;  /* when the first attempt for these rows was made; 0: with
                     * this; is set then */

    /* Reads a good answer: 0, CALM_EFORMAT or CALM_ELIMIT with a sentence when
     * it does not fit, which is asked for once more, or another code that
     * ends the run. The tokens that were used go into *RET_TOKENS. */
    int (*read)(
        void *ctx, const calm_http_response *response, double *ret_tokens);
    void *ctx;

    /* What came of it, to be freed by calm__sending_clear(). */
    enum calm__fate fate;
    int attempts;
    calm_http_response response; /* the last; status 0 when there was none */
    char cause[CALM_MESSAGE_MAX];
    const char *code; /* a name for the cause; static */

    bool unbudgeted; /* the budget of retries allowed no other attempt */
    bool probes;     /* private: it is the one who finds out */
    int tries;       /* private: with those that are not counted */
};

/* Begins one whose public fields are set: AT_ONCE as in limit.h. */
void calm__sender_init(struct calm__sender *sender, size_t at_once);

/* Sends. Returns 0 with a fate, or a code that ends the run: CALM_EREMOTE when
 * the other side has said stop, -ECANCELED, -ENOMEM or another local one. */
CALM_SUSPENDS int calm__sender_send(
    struct calm__sender *sender, struct calm__sending *sending);
void calm__sending_clear(struct calm__sending *sending);

/* No more requests: everybody who waits to send is told CODE. The first stop
 * counts. Returns CODE. */
int calm__sender_stop(struct calm__sender *sender, int code);

#endif
