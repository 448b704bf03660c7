/* calm/model.h - a trained model, ready to predict
 *
 *     calm_model *model;
 *     int rc = calm_model_open("credit.json", NULL, &model);
 *     rc = calm_model_predict(model, matrix, rows, columns, values);
 *     calm_model_close(model);
 *
 * Models are XGBoost's, in its .json or .ubj form; what the bytes are decides,
 * not the name. The old binary form is refused: XGBoost itself has given it
 * up, and it cannot be checked before it is loaded.
 *
 * A prediction is what XGBoost's own Python package gives with the objective's
 * transformation applied and NaN read as a missing value:
 *
 *   saved by        is predicted as by         with early stopping
 *   Booster         Booster.predict()          all rounds
 *   XGBClassifier,  predict_proba(),           the rounds up to the best one
 *   XGBRegressor    predict()
 *
 * A file that was damaged, or made to do damage, is refused with a sentence:
 * all that XGBoost would follow without looking is checked before. Categories
 * are given as their codes, 0, 1, 2 ... Models with several targets, or leaves
 * with several values, are refused.
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
    CALM_MODEL_VALUE,         /* a number: regression, ranking, counts */
    CALM_MODEL_BINARY,        /* the probability of class 1 */
    CALM_MODEL_CLASS,         /* the number of the class: multi:softmax,
                               * binary:hinge */
    CALM_MODEL_PROBABILITIES, /* one for each class */
    CALM_MODEL_SCORE,         /* log odds of class 1: binary:logitraw */
};

/* Which boosting rounds take part. */
enum calm_model_rounds {
    CALM_MODEL_ROUNDS_AUTO, /* as above: best where scikit-learn's interface
                             * saved the model, else all */
    CALM_MODEL_ROUNDS_ALL,
    CALM_MODEL_ROUNDS_BEST, /* all if training was not stopped early */
};

/* Options of calm_model_open(); zero means default. */
typedef struct calm_model_opts {
    /* 64 hex digits that the file's SHA-256 must be, or NULL. A model file is
     * code: another one is refused before it is read any further. */
    const char *sha256;

    enum calm_model_rounds rounds;
} calm_model_opts;

/* Loads the model of PATH, on the blocking pool. OPTS may be NULL. Returns 0
 * and the model, which the caller closes; the errno of reading the file;
 * CALM_EMODEL for one that cannot be used, with a sentence that says why;
 * -EINVAL for a sha256 that is none; -ENOMEM; or -ECANCELED. */
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
 * calling thread alone and does not suspend; it needs more stack than a task
 * has and is meant for calm_cpu(). Any number of threads may call it at once;
 * models with a gblinear or dart booster then take turns. Returns 0, -EINVAL
 * when COLUMNS is not calm_model_features(), or CALM_EMODEL. */
int calm_model_predict(calm_model *model, const float *matrix, size_t rows,
    size_t columns, float *ret_values);

/* The class that the values of one row stand for, as XGBClassifier.predict()
 * decides: 1 for a probability above 0.5 (0 at 0.5 itself) or a score above 0,
 * the most probable of several (the first, if two are), -1 for
 * CALM_MODEL_VALUE. */
int calm_model_label(const calm_model *model, const float *values);

/* The library behind it, "XGBoost 1.7.4", or why there is none. */
const char *calm_model_library(void);

#ifdef __cplusplus
}
#endif
#endif
