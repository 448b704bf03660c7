/* model_xgboost.c - XGBoost models through the library's C interface
 *
 * One booster serves all threads. XGBoost (1.4 and later) promises that
 * predicting with trees is safe from several threads: it keeps results, shapes
 * and caches in thread-local memory and only reads a booster that is
 * configured, which a first prediction at loading sees to. One booster for
 * each thread would cost the model's memory times the threads, and was not
 * faster. nthread is 1, so that no call starts OpenMP's threads: the CPU pool
 * divides the work.
 *
 *   booster    way                     at once   why
 *   gbtree     PredictFromDense        yes       no copy of the rows
 *   dart       DMatrix                 yes       in place, 1.7 adds and takes
 *                                                the base score for each tree,
 *                                                which loses digits
 *   gblinear   DMatrix                 no        has no other way; its code
 *                                                was never promised to be safe
 *
 * The log callback and the verbosity are thread-local in XGBoost. They are set
 * where a model is loaded, on a thread of calm's pool; predicting logs nothing.
 */
#include "ml/model.h"

#include "base/fault.h"
#include "ml/model_check.h"

#include <xgboost/c_api.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

enum way { IN_PLACE, BY_MATRIX, BY_MATRIX_ALONE };

struct model {
    struct calm_model base; /* first */
    BoosterHandle booster;
    enum way way;
    char **names;
    mtx_t alone; /* C11's: only the host floor knows pthreads */
    bool has_mutex;
    char config[160]; /* of every prediction */
};

/* What XGBoost gives for rows; it stays the library's, for this thread, until
 * the thread's next call. */
struct answer {
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *values;
};

/* ---- errors ---- */

/* Copies the first line of what the library says, without the time and the
 * place in its source ("[12:00:00] ../src/x.cc:12: "). Behind it come pieces
 * of the file, which may hold anything, and a stack trace. */
static void library_text(char *text, size_t size)
{
    const char *from = XGBGetLastError();
    if (*from == '[') {
        const char *place = strstr(from, "] ");
        const char *message = place ? strstr(place + 2, ": ") : NULL;
        if (message)
            from = message + 2;
    }
    while (*from == ' ' || *from == '\n')
        from++;
    size_t len = strcspn(from, "\n");
    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == ':'))
        len--;
    if (len >= size)
        len = size - 1;
    for (size_t i = 0; i < len; i++)
        text[i] = (unsigned char)from[i] < ' ' ? ' ' : from[i];
    text[len] = '\0';
}

static int library_fails(const char *what)
{
    char text[240];
    library_text(text, sizeof text);
    return calm_fail(
        CALM_EMODEL, "%s: %s", what, *text ? text : "XGBoost does not say why");
}

static void be_silent(const char *text)
{
}

/* ---- predicting ---- */

/* Some 0.3 us of some 70 that a call of 32 rows takes; the rest of what calm
 * adds is the copy of the values. */
static void array_describe(
    char *array, size_t size, const float *matrix, size_t rows, size_t columns)
{
    snprintf(array, size,
        "{\"data\":[%llu,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\","
        "\"version\":3}",
        (unsigned long long)(uintptr_t)matrix, rows, columns);
}

static int values_copy(const struct model *model, const struct answer *answer,
    size_t rows, float *ret_values)
{
    bst_ulong count = answer->dimensions > 0;
    for (bst_ulong i = 0; i < answer->dimensions; i++)
        count *= answer->shape[i];
    if (count != rows * model->base.values)
        return calm_fail(CALM_EMODEL,
            "the model gave %llu values for %zu rows, not %zu for each",
            (unsigned long long)count, rows, model->base.values);
    memcpy(ret_values, answer->values, count * sizeof *ret_values);
    return 0;
}

static int predict_in_place(
    struct model *model, const float *matrix, size_t rows, float *ret_values)
{
    char array[160];
    struct answer answer;
    array_describe(array, sizeof array, matrix, rows, model->base.features);
    if (XGBoosterPredictFromDense(model->booster, array, model->config, NULL,
            &answer.shape, &answer.dimensions, &answer.values))
        return library_fails("cannot predict");
    return values_copy(model, &answer, rows, ret_values);
}

static int predict_matrix(
    struct model *model, DMatrixHandle data, size_t rows, float *ret_values)
{
    struct answer answer;
    if (XGBoosterPredictFromDMatrix(model->booster, data, model->config,
            &answer.shape, &answer.dimensions, &answer.values))
        return library_fails("cannot predict");
    return values_copy(model, &answer, rows, ret_values);
}

static int predict_by_matrix(
    struct model *model, const float *matrix, size_t rows, float *ret_values)
{
    char array[160];
    DMatrixHandle data;
    array_describe(array, sizeof array, matrix, rows, model->base.features);
    if (XGDMatrixCreateFromDense(
            array, "{\"missing\":NaN,\"nthread\":1}", &data))
        return library_fails("cannot predict");
    if (model->way == BY_MATRIX_ALONE)
        mtx_lock(&model->alone);
    int rc = predict_matrix(model, data, rows, ret_values);
    if (model->way == BY_MATRIX_ALONE)
        mtx_unlock(&model->alone);
    XGDMatrixFree(data);
    return rc;
}

static int model_predict(
    calm_model *base, const float *matrix, size_t rows, float *ret_values)
{
    struct model *model = (struct model *)base;
    return model->way == IN_PLACE
               ? predict_in_place(model, matrix, rows, ret_values)
               : predict_by_matrix(model, matrix, rows, ret_values);
}

static void model_close(calm_model *base)
{
    struct model *model = (struct model *)base;
    if (model->booster)
        XGBoosterFree(model->booster);
    for (size_t i = 0; model->names && i < model->base.features; i++)
        free(model->names[i]);
    free(model->names);
    if (model->has_mutex)
        mtx_destroy(&model->alone);
    free(model);
}

static const struct calm__model_methods methods = {model_close, model_predict};

/* ---- loading ---- */

/* What the values mean, by the name of the objective; all others are plain
 * values. */
static const struct {
    const char *objective;
    enum calm_model_kind kind;
} kinds[] = {
    {"binary:logistic", CALM_MODEL_BINARY},
    {"binary:logitraw", CALM_MODEL_SCORE},
    {"binary:hinge", CALM_MODEL_CLASS},
    {"multi:softmax", CALM_MODEL_CLASS},
    {"multi:softprob", CALM_MODEL_PROBABILITIES},
};

static int describe(struct model *model, const struct calm__outline *outline)
{
    if (outline->targets > 1)
        return calm_fail(CALM_EMODEL,
            "it predicts %zu targets at once, calm one", outline->targets);
    model->base.features = outline->features;
    model->base.values = 1;
    memcpy(model->base.objective, outline->objective,
        sizeof model->base.objective);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(outline->objective, kinds[i].objective) == 0)
            model->base.kind = kinds[i].kind;
    if (model->base.kind == CALM_MODEL_PROBABILITIES)
        model->base.values = outline->classes;
    if (strcmp(outline->booster, "dart") == 0)
        model->way = BY_MATRIX;
    if (strcmp(outline->booster, "gblinear") == 0)
        model->way = BY_MATRIX_ALONE;
    return 0;
}

static int names_copy(struct model *model)
{
    bst_ulong count = 0;
    const char **names = NULL;
    if (XGBoosterGetStrFeatureInfo(
            model->booster, "feature_name", &count, &names))
        return library_fails("the features have no readable names");
    if (count == 0)
        return 0;
    if (count != model->base.features)
        return calm_fail(CALM_EMODEL, "it has %zu features and names for %llu",
            model->base.features, (unsigned long long)count);
    model->names = calm__alloc(count * sizeof *model->names);
    if (!model->names)
        return calm_fail(-ENOMEM, "no memory for names");
    memset(model->names, 0, count * sizeof *model->names);
    for (bst_ulong i = 0; i < count; i++)
        if (!(model->names[i] = strdup(names[i])))
            return calm_fail(-ENOMEM, "no memory for names");
    model->base.names = (const char *const *)model->names;
    return 0;
}

/* The text of an attribute, or NULL. */
static const char *attribute(struct model *model, const char *name)
{
    const char *text = NULL;
    int found = 0;
    if (XGBoosterGetAttr(model->booster, name, &text, &found) || !found)
        return NULL;
    return text;
}

/* The round to stop before; 0 is XGBoost's way to say all of them. */
static int rounds_choose(struct model *model, enum calm_model_rounds rounds)
{
    if (model->way == BY_MATRIX_ALONE)
        return 0; /* a linear model has but its last state */
    if (rounds == CALM_MODEL_ROUNDS_AUTO)
        rounds = attribute(model, "scikit_learn") ? CALM_MODEL_ROUNDS_BEST
                                                  : CALM_MODEL_ROUNDS_ALL;
    const char *best = rounds == CALM_MODEL_ROUNDS_BEST
                           ? attribute(model, "best_iteration")
                           : NULL;
    int trained = 0;
    if (!best || XGBoosterBoostedRounds(model->booster, &trained))
        return 0;
    long last = strtol(best, NULL, 10);
    return last >= 0 && last < trained ? (int)last + 1 : 0;
}

/* strict_shape gives rows and values as the dimensions, whatever they are. */
static void config_write(struct model *model, int rounds)
{
    snprintf(model->config, sizeof model->config,
        "{\"type\":0,\"training\":false,\"iteration_begin\":0,"
        "\"iteration_end\":%d,\"missing\":NaN,\"strict_shape\":true,"
        "\"cache_id\":0}",
        rounds);
}

/* Configures the booster, after which it is only read, and shows what cannot
 * be predicted now and not when the first rows are there. */
static int first_predict(struct model *model)
{
    float *row = calm__alloc(model->base.features * sizeof *row);
    float *values = calm__alloc(model->base.values * sizeof *values);
    int rc = row && values ? 0 : calm_fail(-ENOMEM, "no memory for a row");
    for (size_t i = 0; rc == 0 && i < model->base.features; i++)
        row[i] = NAN;
    if (rc == 0)
        rc = model_predict(&model->base, row, 1, values);
    free(row);
    free(values);
    return rc;
}

/* A booster that will not start OpenMP's threads, not even to load: they would
 * stay, and spin, beside a thread of calm's pool. Parameters only count once
 * the booster is configured, which asking for its features does, and which it
 * refuses without any; the model's own number takes this one's place. */
static int booster_create(struct model *model)
{
    bst_ulong features = 0;
    XGBRegisterLogCallback(be_silent);
    XGBSetGlobalConfig("{\"verbosity\":0}");
    if (XGBoosterCreate(NULL, 0, &model->booster) ||
        XGBoosterSetParam(model->booster, "nthread", "1") ||
        XGBoosterSetParam(model->booster, "num_feature", "1") ||
        XGBoosterGetNumFeature(model->booster, &features))
        return library_fails("XGBoost does not start");
    return 0;
}

static int booster_load(struct model *model, const char *data, size_t len)
{
    bst_ulong features = 0;
    int rc = booster_create(model);
    if (rc < 0)
        return rc;
    if (XGBoosterLoadModelFromBuffer(model->booster, data, len) ||
        XGBoosterGetNumFeature(model->booster, &features))
        return library_fails("XGBoost refuses it");
    if (features != model->base.features)
        return calm_fail(CALM_EMODEL,
            "XGBoost finds %llu features in it instead of %zu",
            (unsigned long long)features, model->base.features);
    return 0;
}

static int model_fill(struct model *model, const char *data, size_t len,
    enum calm_model_rounds rounds)
{
    struct calm__outline outline;
    model->base.methods = &methods;
    model->has_mutex = mtx_init(&model->alone, mtx_plain) == thrd_success;
    int rc = model->has_mutex ? calm__model_check(data, len, &outline)
                              : calm_fail(-ENOMEM, "no memory for a lock");
    if (rc == 0)
        rc = describe(model, &outline);
    if (rc == 0)
        rc = booster_load(model, data, len);
    if (rc == 0)
        rc = names_copy(model);
    if (rc == 0) {
        config_write(model, rounds_choose(model, rounds));
        rc = first_predict(model);
    }
    return rc;
}

int calm__model_xgboost_load(const char *data, size_t len,
    const calm_model_opts *opts, calm_model **ret_model)
{
    struct model *model = calm__alloc(sizeof *model);
    if (!model)
        return calm_fail(-ENOMEM, "no memory for a model");
    memset(model, 0, sizeof *model);
    int rc = model_fill(
        model, data, len, opts ? opts->rounds : CALM_MODEL_ROUNDS_AUTO);
    if (rc < 0)
        model_close(&model->base);
    else
        *ret_model = &model->base;
    return rc;
}

const char *calm_model_library(void)
{
    static char text[32];
    int major, minor, patch;
    XGBoostVersion(&major, &minor, &patch);
    snprintf(text, sizeof text, "XGBoost %d.%d.%d", major, minor, patch);
    return text;
}
