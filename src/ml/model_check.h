/* ml/model_check.h - whether XGBoost can be trusted with a model */
#ifndef CALM_ML_MODEL_CHECK_H
#define CALM_ML_MODEL_CHECK_H

#include <stddef.h>

/* What the file says of its model. */
struct calm__outline {
    char objective[64];
    char booster[16]; /* "gbtree", "dart" or "gblinear" */
    size_t features;
    size_t classes; /* 0 when it is not for several */
    size_t targets; /* 1 but for models that answer several questions */
};

/* Reads the LEN bytes of a .json or .ubj model and looks at everything that
 * XGBoost would follow without looking: nesting, lengths, node numbers, feature
 * numbers, groups, categories. Returns 0; CALM_EMODEL with the reason; -ENOMEM.
 * Does not suspend; takes about as long as reading the file. */
int calm__model_check(
    const char *data, size_t len, struct calm__outline *ret_outline);

#endif
