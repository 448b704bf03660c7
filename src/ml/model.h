/* ml/model.h - what a kind of model must offer, as a table of functions */
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
    void (*close)(calm_model *model);

    /* As calm_model_predict(); the columns have been checked. */
    int (*predict)(calm_model *model, const float *matrix, size_t rows,
        float *ret_values);
};

/* Loads an XGBoost model: blocks. CALM_EMODEL with a sentence when it cannot
 * be used, also when calm was built without XGBoost. */
int calm__model_xgboost_open(const char *path, calm_model **ret_model);

#endif
