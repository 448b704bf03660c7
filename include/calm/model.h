/* calm/model.h - a trained model, ready to predict
 *
 *     calm_model *model;
 *     int rc = calm_model_open("credit.json", NULL, &model);
 *     rc = calm_model_predict(model, matrix, rows, columns, values);
 *     calm_model_close(model);
 *
 * Models are XGBoost's, in its .json or .ubj form. A prediction is what
 * Booster.predict() of XGBoost's own Python package gives: all trees, the
 * objective's transformation applied, NaN read as missing.
 */
#ifndef CALM_MODEL_H
#define CALM_MODEL_H

#include <calm/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_model calm_model;

/* What the values of a row mean. */
enum calm_model_kind {
    CALM_MODEL_VALUE,  /* a number: regression, ranking, raw scores */
    CALM_MODEL_BINARY, /* the probability of class 1 */
    CALM_MODEL_CLASS,  /* the number of the class itself (multi:softmax) */
    CALM_MODEL_PROBABILITIES, /* one for each class */
};

/* Options of calm_model_open(); zero means default. */
typedef struct calm_model_opts {
    /* 64 hex digits that the file's SHA-256 must be, or NULL. A model file is
     * code: another one is refused before it is read any further. */
    const char *sha256;
} calm_model_opts;

/* Loads the model of PATH, on the blocking pool. OPTS may be NULL. Returns 0
 * and the model, the errno of reading the file, CALM_EMODEL for one that
 * cannot be used, with a sentence that says why, or -ECANCELED. */
CALM_SUSPENDS int calm_model_open(
    const char *path, const calm_model_opts *opts, calm_model **ret_model);

/* Frees it; NULL is fine. No prediction may be under way. */
void calm_model_close(calm_model *model);

/* How many numbers a row has, and their names where the model knows them:
 * the model's, NULL where it does not. */
size_t calm_model_features(const calm_model *model);
const char *calm_model_feature_name(const calm_model *model, size_t feature);

enum calm_model_kind calm_model_kind(const calm_model *model);

/* Values that each row gives: the number of classes for
 * CALM_MODEL_PROBABILITIES, else 1. */
size_t calm_model_values(const calm_model *model);

/* The objective it was trained for, such as "binary:logistic". */
const char *calm_model_objective(const calm_model *model);

/* The SHA-256 of its file, 64 hex digits. */
const char *calm_model_hash(const calm_model *model);

/* Predicts ROWS rows of COLUMNS floats, row after row from MATRIX on, into
 * RET_VALUES, which has room for rows * calm_model_values(). Computes on the
 * calling thread alone and does not suspend: meant for calm_cpu(). Any number
 * of threads may call it at once. Returns 0, -EINVAL when COLUMNS is not
 * calm_model_features(), or CALM_EMODEL. */
int calm_model_predict(calm_model *model, const float *matrix, size_t rows,
    size_t columns, float *ret_values);

/* The class that the values of one row stand for: 1 from a probability of
 * more than 0.5 on, the most probable of several, -1 for CALM_MODEL_VALUE. */
int calm_model_label(const calm_model *model, const float *values);

#ifdef __cplusplus
}
#endif
#endif
