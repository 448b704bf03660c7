/* ml/batcher.h - rows of many requests, predicted together
 *
 * A prediction costs much once and little for each row. So rows that come
 * while others are predicted wait for each other:
 *
 *     nothing is predicted           at once, with what came in the same turn
 *     some are, a thread is free     when MOST rows wait, or the first of them
 *                                    has waited for DELAY
 *     no thread is free              when one is
 *
 * There is no task for this. A request that must wait does so in its own, and
 * whoever finds that it is time leads: it takes rows from the front of the
 * queue, its own or not, predicts them on the CPU pool and hands the values
 * out. A request with more rows than a batch holds is predicted in parts.
 */
#ifndef CALM_ML_BATCHER_H
#define CALM_ML_BATCHER_H

#include <calm/sync.h>
#include <calm/time.h>

/* Predicts as calm_model_predict() does; on several threads at once. */
typedef int calm__batch_fn(
    void *ctx, const float *matrix, size_t rows, float *ret_values);

struct calm__batch_job;
struct calm__batch;

enum { CALM__BATCH_SIZES = 12 };

/* Upper bounds of the sizes that batches are counted by; the last has none. */
extern const size_t calm__batch_sizes[CALM__BATCH_SIZES];

struct calm__batcher {
    /* Filled by the caller; then calm__batcher_init(). */
    calm__batch_fn *predict;
    void *ctx;
    size_t columns; /* numbers that a row has */
    size_t values;  /* and gives */
    size_t most;    /* rows of a batch */
    size_t queue;   /* rows that may wait */
    size_t threads;
    int64_t delay;

    /* To be read. */
    uint64_t batches, rows, rejected;
    uint64_t of_size[CALM__BATCH_SIZES]; /* batches, by their rows */
    int64_t predicting;                  /* time that predictions took */
    size_t busy;                         /* predictions now */
    size_t waiting;                      /* rows now */

    /* Private. */
    struct calm__batch_job *first, *last;
    struct calm__batch *spare;
};

void calm__batcher_init(struct calm__batcher *batcher);

/* Nobody may be in it. */
void calm__batcher_clear(struct calm__batcher *batcher);

/* Predicts ROWS rows, at least one, into RET_VALUES. Returns 0; -EBUSY when
 * too many rows wait; the code and the sentence of a prediction that failed,
 * which only fails this call; -ENOMEM; or -ECANCELED. */
CALM_SUSPENDS int calm__batcher_predict(struct calm__batcher *batcher,
    const float *matrix, size_t rows, float *ret_values);

#endif
