/* ml/retry_failed.h - which rows of a finished run have failed */
#ifndef CALM_ML_RETRY_FAILED_H
#define CALM_ML_RETRY_FAILED_H

#include "ml/answer.h"
#include "ml/merge.h"
#include "ml/predictor.h"

/* Reads OUTPUT.errors.jsonl, whose path is ERRORS, and sees whether it, the
 * output and the input are of one run: each row that failed is in the input
 * on its line and with its id, and the output has as many records as the
 * input has other rows. HEAD are the first bytes that the output must have.
 * Suspends. Returns 1 with what the caller closes; 0 when no row has failed;
 * -EINVAL when they do not fit, -ENOENT when there is no output, CALM_EFORMAT,
 * or an errno. */
int calm__retry_failed_open(const struct calm__answer *answer,
    const char *errors, const calm_bytes *head, struct calm__merge **ret_merge);

#endif
