/* ml/run_identity.h - what a run of calm_predict() is a run of */
#ifndef CALM_ML_RUN_IDENTITY_H
#define CALM_ML_RUN_IDENTITY_H

#include "ml/predictor.h"

/* Adds all that decides about the bytes of the output, and the input: its
 * size, time, and the first and last MiB. The dataset is one of a file.
 * Suspends. Returns 0, or the errno of reading. */
int calm__run_identity(const struct calm__answer *answer,
    struct calm__dataset *dataset, struct calm__identity *identity);

#endif
