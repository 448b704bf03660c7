/* ml/run.h - a run of calm_predict(): what its parts share
 *
 *     run_identity.c  what it is a run of
 *     run_open.c      opens the input, chooses columns, finds out what is done
 *     predict.c       moves batches through the pipeline
 */
#ifndef CALM_ML_RUN_H
#define CALM_ML_RUN_H

#include "ml/outputs.h"
#include "ml/predictor.h"

struct calm__run {
    const calm_predict_opts *opts;
    calm_predict_state *state;
    struct calm__predictor *predictor;
    struct calm__dataset *dataset;
    struct calm__outputs outputs;
    struct calm__choice choice;
    const char **cells; /* id, truth, kept, the predictor's */
    struct calm__answer answer;
    struct calm__batch *spare;
    struct calm__selection wanted;
    uint64_t position;         /* rows of the input that are behind */
    struct calm__error *ended; /* why there are no more */
    int end;                   /* its code */
    size_t ahead;              /* batches that predict() is not done with */
    size_t held;               /* bytes of input and output in batches */
    bool stopping;             /* the caller was cancelled */
    bool gap; /* a batch was left, so none behind it may be written */
};

/* Opens all that the options name. Suspends. Returns 1, 0 when there is
 * nothing to do, or an error; the run is to be closed in any case. */
int calm__run_open(struct calm__run *run);

/* Adds all that decides about the bytes of the output, and the input: its
 * size, time, and the first and last MiB. The dataset is one of a file.
 * Suspends. Returns 0, or the errno of reading. */
int calm__run_identity(
    const struct calm__run *run, struct calm__identity *identity);

#endif
