/* ml/predictor.h - what predicts the rows of batches: a model, or an API
 *
 *     open               from the options; reads no input yet
 *     choose             the input is open: which columns are wanted
 *     batch_open         for each batch that is made (a few)
 *       prepare          rows -> what is predicted from        CPU pool
 *       predict          -> results, kept with the batch       .where
 *       compare, answer  for each row that is good             CPU pool
 *     batch_close, close
 *
 * A record of this type stands at the begin of each kind's own. What a kind
 * wants and gives stands in fields, and is read after choose.
 */
#ifndef CALM_ML_PREDICTOR_H
#define CALM_ML_PREDICTOR_H

#include "ml/answer.h"
#include "ml/batch.h"
#include "ml/identity.h"

#include <calm/pipeline.h>
#include <calm/predict.h>
#include <calm/sync.h>

struct calm__predictor {
    const struct calm__predictor_methods *methods;
    const calm_predict_opts *opts;
    calm_predict_state *state; /* for those who watch; the loop's thread only */

    enum calm_where where; /* predict() runs: CALM_ON_CPU, or on the loop */
    size_t concurrency;    /* batches in predict() at once; 0: the threads */
    size_t in_flight;      /* batches in all by default; 0: what that needs */
    size_t wanted; /* batches that it can use now; 0: any number. May change
                    * on the loop, which MOVED tells */
    calm_event moved;
    size_t batch_size; /* rows of a batch by default */
    size_t row_size;   /* bytes of each row in the predictor's part */

    const char *const *features; /* columns that it wants as floats */
    size_t feature_count;
    const char *const *cells; /* and as text */
    size_t cell_count;
    bool text; /* and whole, see calm__rows_text() */

    const char *const *columns; /* that it gives, by name */
    size_t column_count;
    bool classes; /* what compare() finds right or wrong are labels */
    bool lines;   /* it gives whole lines instead, by line() */

    size_t first_cell; /* of its own among the cells of a batch; the run's */
};

struct calm__predictor_methods {
    /* Frees all, also of one that is half open. Never fails. */
    void (*close)(struct calm__predictor *predictor);

    /* Sets the fields for an input with these columns, ID being the one that
     * tells rows apart, or NULL. May suspend. Returns 0, or an error with a
     * sentence: the run is refused before anything is created. */
    int (*choose)(struct calm__predictor *predictor,
        const struct calm__dataset *dataset, const char *id);

    /* Makes batch->own, and frees it. Returns 0 or -ENOMEM. */
    int (*batch_open)(
        struct calm__predictor *predictor, struct calm__batch *batch);
    void (*batch_close)(
        struct calm__predictor *predictor, struct calm__batch *batch);

    /* Fills batch->rows, for which there is room, and batch->count. A row that
     * cannot be predicted gets a status, and a cause that lives as long as the
     * batch has its rows. Returns 0, or an error that ends the run. */
    int (*prepare)(
        struct calm__predictor *predictor, struct calm__batch *batch);

    /* Predicts the rows whose status is 0. One that fails gets status and
     * cause, and where there were requests attempts and http_status. Returns
     * 0, or an error that ends the run. */
    int (*predict)(
        struct calm__predictor *predictor, struct calm__batch *batch);

    /* Row INDEX of batch->rows, which is good, beside its truth. NULL: the
     * truth is not compared. */
    void (*compare)(struct calm__predictor *predictor,
        struct calm__batch *batch, size_t index,
        const struct calm__cell *truth);

    /* Puts the columns that it gives, of row INDEX, which is good; its cells
     * are in batch->cells. Returns 0 or -ENOMEM. */
    int (*answer)(struct calm__predictor *predictor, struct calm__batch *batch,
        size_t index, struct calm__fields *out);

    /* Puts all of row INDEX, good or failed, as a line of JSON. Only called
     * where `lines` is set. Returns 0 or -ENOMEM. */
    int (*line)(struct calm__predictor *predictor, struct calm__batch *batch,
        size_t index, calm_bytes *out);

    /* Adds what tells this predictor from others: a run is only resumed with
     * the same. No secrets. */
    void (*identity)(
        struct calm__predictor *predictor, struct calm__identity *identity);

    /* The run is to end: what predict() has not begun with returns -ECANCELED.
     * NULL: there is nothing to wait for. Does not suspend. */
    void (*stop)(struct calm__predictor *predictor);
};

/* An embedded model. Suspends. On failure nothing is left. */
int calm__predictor_model_open(const calm_predict_opts *opts,
    calm_predict_state *state, struct calm__predictor **ret_predictor);

/* A model behind an API. The same. */
int calm__predictor_remote_open(const calm_predict_opts *opts,
    calm_predict_state *state, struct calm__predictor **ret_predictor);

#endif
