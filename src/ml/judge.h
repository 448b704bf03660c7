/* ml/judge.h - what came of an attempt, and what follows */
#ifndef CALM_ML_JUDGE_H
#define CALM_ML_JUDGE_H

#include "ml/hints.h"
#include "ml/sender.h"

enum calm__verdict {
    CALM__GOOD,
    CALM__REFUSE,     /* wrong for these rows */
    CALM__FAIL,       /* for good */
    CALM__AGAIN,      /* if attempts, time and budget allow it */
    CALM__AGAIN_ONCE, /* if it has not been tried so before */
    CALM__STOP,       /* the whole run */
};

/* What came of one attempt. */
struct calm__judgement {
    enum calm__verdict verdict;
    enum calm__verdict last; /* what it is without a further attempt */
    enum calm__pressure pressure;
    int64_t hint;  /* the wait that the server has asked for, or -1 */
    bool unserved; /* nobody has worked on it: no server, or too busy a one */
    bool unsent;   /* not a byte of it has left */
};

/* By the status, the headers and the error in the body. A good one may prove
 * to be none when it is read. Notes cause and code in SENDING. */
void calm__judge_answer(struct calm__sending *sending,
    const struct calm__hints *hints, struct calm__judgement *judgement);

/* By what calm_http_send() has returned. REACHED: the server has been there.
 * Returns 0, or RC where something of this machine is wrong, which ends the
 * run. */
int calm__judge_error(struct calm__sending *sending, int rc, bool reached,
    struct calm__judgement *judgement);

#endif
