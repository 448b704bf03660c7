/* ml/failures.h - when so much fails that going on would be wrong
 *
 * Looks at the last 100 requests that have their final fate, retries and all.
 * A batch with one bad row in it is split, and then most of its requests are
 * answered; so this counts servers that do not answer, and inputs that are
 * wrong from top to bottom.
 */
#ifndef CALM_ML_FAILURES_H
#define CALM_ML_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

enum { CALM__FAILURES_WINDOW = 100 };

struct calm__failures {
    int most;       /* failures among the last 100 that end the run; more than
                     * 100: none do */
    uint64_t total; /* requests with their fate */
    uint64_t answered;
    int failed; /* of those in the window */
    bool window[CALM__FAILURES_WINDOW];
};

/* Counts a request; whether the run is to end. */
bool calm__failures_add(struct calm__failures *failures, bool failed);

#endif
