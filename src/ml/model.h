/* ml/model.h - what a kind of model must offer, as a table of functions
 *
 * model.c knows no library. A kind of model fills the record, and two slots;
 * the others are answered from the record.
 */
#ifndef CALM_ML_MODEL_H
#define CALM_ML_MODEL_H

#include <calm/model.h>

/* Embedded at the begin of each kind's own record. */
struct calm_model {
    const struct calm__model_methods *methods;
    enum calm_model_kind kind;
    size_t features;
    size_t values;
    const char *const *names; /* of the features; NULL when unknown */
    char objective[64];
    char hash[65];
};

struct calm__model_methods {
    /* Frees everything, also of a model that is half opened. */
    void (*close)(calm_model *model);

    /* As calm_model_predict(); the columns have been checked, and there is at
     * least one row. Called by several threads at once. */
    int (*predict)(
        calm_model *model, const float *matrix, size_t rows, float *ret_values);
};

/* Opens a model that is a file; see calm_model_open(). */
CALM_SUSPENDS int calm__model_file_open(
    const char *path, const calm_model_opts *opts, calm_model **ret_model);

/* Makes a model of the LEN bytes of an XGBoost file, which may go afterwards.
 * Blocks and computes. CALM_EMODEL with a sentence when it cannot be used,
 * also when calm was built without XGBoost. */
int calm__model_xgboost_load(const char *data, size_t len,
    const calm_model_opts *opts, calm_model **ret_model);

#endif
