/* model_xgboost.c - XGBoost models through the library's C interface
 *
 * One booster serves all threads: in-place prediction keeps its results in
 * thread-local memory and changes nothing in a booster that is configured,
 * which a first prediction at loading sees to. It runs with nthread=1, as the
 * CPU pool is what divides the work. The linear booster has no in-place
 * prediction in XGBoost 1.7, so it goes by way of a DMatrix, one at a time.
 */
#include "ml/model.h"

#include "base/error.h"
#include "base/fault.h"

#include <xgboost/c_api.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model {
    struct calm_model base; /* first */
    BoosterHandle booster;
    char **names;
    bool linear;
    atomic_flag busy; /* the linear booster is */
};

/* What the library says, without the stack trace that follows its first
 * line and the place in its source before it. */
static int library_fails(const char *what)
{
    const char *text = XGBGetLastError();
    const char *place = strstr(text, ".cc:");
    if (place && place < strchrnul(text, '\n')) {
        const char *after = strstr(place, ": ");
        text = after ? after + 2 : text;
    }
    while (*text == '\n' || *text == ' ')
        text++;
    int len = (int)strcspn(text, "\n");
    return calm_fail(CALM_EMODEL, "%s: %.*s", what, len > 300 ? 300 : len,
        len > 0 ? text : "XGBoost does not say why");
}

static void be_silent(const char *text)
{
}

static void model_close(calm_model *base)
{
    struct model *model = (void *)base;
    if (model->booster)
        XGBoosterFree(model->booster);
    for (size_t i = 0; model->names && i < model->base.features; i++)
        free(model->names[i]);
    free(model->names);
    free(model);
}

/* ---- prediction ---- */

/* strict_shape gives rows and values as the dimensions, whatever they are. */
static const char predict_config[] =
    "{\"type\":0,\"training\":false,\"iteration_begin\":0,"
    "\"iteration_end\":0,\"missing\":NaN,\"strict_shape\":true,"
    "\"cache_id\":0}";

static int predict_dense(struct model *model, const float *matrix, size_t rows,
    const bst_ulong **ret_shape, bst_ulong *ret_dim, const float **ret_result)
{
    char array[160];
    snprintf(array, sizeof array,
        "{\"data\":[%llu,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\","
        "\"version\":3}",
        (unsigned long long)(uintptr_t)matrix, rows, model->base.features);
    return XGBoosterPredictFromDense(model->booster, array, predict_config,
        NULL, ret_shape, ret_dim, ret_result);
}

static int values_copy(struct model *model, size_t rows,
    const bst_ulong *shape, bst_ulong dim, const float *result,
    float *ret_values)
{
    bst_ulong count = 1;
    for (bst_ulong i = 0; i < dim; i++)
        count *= shape[i];
    if (dim == 0 || shape[0] != rows || count != rows * model->base.values)
        return calm_fail(CALM_EMODEL,
            "XGBoost gave %llu values for %zu rows, not %zu for each",
            (unsigned long long)count, rows, model->base.values);
    memcpy(ret_values, result, count * sizeof *ret_values);
    return 0;
}

static int linear_predict(
    struct model *model, const float *matrix, size_t rows, float *ret_values)
{
    DMatrixHandle data;
    const bst_ulong *shape;
    bst_ulong dim;
    const float *result;
    if (XGDMatrixCreateFromMat(
            matrix, rows, model->base.features, __builtin_nanf(""), &data))
        return library_fails("cannot predict");
    while (atomic_flag_test_and_set(&model->busy))
        continue; /* short: a dot product for each row */
    int rc = 0;
    if (XGBoosterPredictFromDMatrix(model->booster, data, predict_config,
            &shape, &dim, &result))
        rc = library_fails("cannot predict");
    else
        rc = values_copy(model, rows, shape, dim, result, ret_values);
    atomic_flag_clear(&model->busy);
    XGDMatrixFree(data);
    return rc;
}

static int model_predict(
    calm_model *base, const float *matrix, size_t rows, float *ret_values)
{
    struct model *model = (void *)base;
    const bst_ulong *shape;
    bst_ulong dim;
    const float *result;
    if (model->linear)
        return linear_predict(model, matrix, rows, ret_values);
    if (predict_dense(model, matrix, rows, &shape, &dim, &result))
        return library_fails("cannot predict");
    return values_copy(model, rows, shape, dim, result, ret_values);
}

static const struct calm__model_methods methods = {
    model_close, model_predict};

/* ---- loading ---- */

/* The text of "NAME":"text" behind the first place where SECTION stands. */
static void config_text(const char *config, const char *section,
    const char *name, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    const char *at = strstr(config, section);
    at = at ? strstr(at, name) : NULL;
    if (!at)
        return;
    at += strlen(name);
    size_t len = strcspn(at, "\"");
    snprintf(ret_text, size, "%.*s", (int)len, at);
}

static int describe(struct model *model)
{
    bst_ulong len, features;
    const char *config;
    if (XGBoosterGetNumFeature(model->booster, &features) ||
        XGBoosterSaveJsonConfig(model->booster, &len, &config))
        return library_fails("the model cannot be described");
    char classes[16], booster[32];
    config_text(config, "\"learner_model_param\"", "\"num_class\":\"",
        classes, sizeof classes);
    config_text(config, "\"learner_train_param\"", "\"booster\":\"", booster,
        sizeof booster);
    config_text(config, "\"learner_train_param\"", "\"objective\":\"",
        model->base.objective, sizeof model->base.objective);
    model->linear = strcmp(booster, "gblinear") == 0;
    model->base.features = features;
    model->base.values = 1;
    const char *objective = model->base.objective;
    if (strcmp(objective, "binary:logistic") == 0) {
        model->base.kind = CALM_MODEL_BINARY;
    } else if (strcmp(objective, "multi:softmax") == 0) {
        model->base.kind = CALM_MODEL_CLASS;
    } else if (strcmp(objective, "multi:softprob") == 0) {
        model->base.kind = CALM_MODEL_PROBABILITIES;
        model->base.values = strtoul(classes, NULL, 10);
    }
    if (features == 0 || model->base.values == 0)
        return calm_fail(CALM_EMODEL, "the model has no features or classes");
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
        return calm_fail(CALM_EMODEL, "%llu names for %zu features",
            (unsigned long long)count, model->base.features);
    model->names = calloc(count, sizeof *model->names);
    for (bst_ulong i = 0; model->names && i < count; i++)
        if (!(model->names[i] = strdup(names[i])))
            return calm_fail(-ENOMEM, "no memory for names");
    model->base.names = (const char *const *)model->names;
    return model->names ? 0 : calm_fail(-ENOMEM, "no memory for names");
}

/* The first prediction configures the booster, after which it is only read;
 * and it finds out what values a row gives, of targets for instance. */
static int first_predict(struct model *model)
{
    float *row = calloc(model->base.features, sizeof *row);
    const bst_ulong *shape;
    bst_ulong dim;
    const float *result;
    int rc = 0;
    if (!row)
        return calm_fail(-ENOMEM, "no memory for a row");
    if (model->linear) {
        float value[64];
        rc = model->base.values <= 64 ? linear_predict(model, row, 1, value)
                                      : 0;
    } else if (predict_dense(model, row, 1, &shape, &dim, &result)) {
        rc = library_fails("the model cannot predict");
    } else if (dim == 2 && shape[1] != model->base.values) {
        model->base.values = shape[1];
    }
    free(row);
    return rc;
}

int calm__model_xgboost_open(const char *path, calm_model **ret_model)
{
    XGBRegisterLogCallback(be_silent);
    struct model *model = calm__alloc(sizeof *model);
    if (!model)
        return calm_fail(-ENOMEM, "no memory for a model");
    *model = (struct model){.base.methods = &methods,
        .busy = ATOMIC_FLAG_INIT};
    int rc = 0;
    if (XGBoosterCreate(NULL, 0, &model->booster) ||
        XGBoosterSetParam(model->booster, "verbosity", "0") ||
        XGBoosterLoadModel(model->booster, path) ||
        XGBoosterSetParam(model->booster, "nthread", "1") ||
        XGBoosterSetParam(model->booster, "verbosity", "0"))
        rc = library_fails("XGBoost refuses it");
    if (rc == 0)
        rc = describe(model);
    if (rc == 0)
        rc = names_copy(model);
    if (rc == 0)
        rc = first_predict(model);
    if (rc < 0) {
        model_close(&model->base);
        return rc;
    }
    *ret_model = &model->base;
    return 0;
}
