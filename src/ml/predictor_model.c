/* predictor_model.c - batches through an embedded model
 *
 * A row that fails stays in its batch, predicted from nothing, and is told
 * apart at the end: to take it out would move the others.
 */
#include "ml/predictor.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_TEXT = 4, /* a value is a float and some 12 bytes of text */
    NAME_SIZE = 24,
};

struct model_predictor {
    struct calm__predictor base; /* first */
    calm_model *model;
    size_t values;         /* of each row */
    const char **features; /* when we have chosen them */
    const char **columns;
    char *numbered; /* names of columns, NAME_SIZE bytes each */
};

/* A batch's part. */
struct numbers {
    float *matrix;
    float *values;
    size_t room; /* rows */
};

static struct model_predictor *model_of(struct calm__predictor *predictor)
{
    return (struct model_predictor *)predictor;
}

static bool has_classes(const calm_model *model)
{
    return calm_model_kind(model) == CALM_MODEL_PROBABILITIES;
}

static bool has_label(const calm_model *model)
{
    return calm_model_kind(model) != CALM_MODEL_VALUE;
}

/* ---- columns ---- */

static size_t count_of(const char *const *names)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    return count;
}

/* Every column but the id and the truth. */
static size_t features_by_default(struct model_predictor *self,
    const struct calm__dataset *dataset, const char *id)
{
    const char *truth = self->base.opts->truth;
    size_t columns = calm__dataset_columns(dataset), count = 0;
    for (size_t i = 0; i < columns; i++) {
        const char *name = calm__dataset_column(dataset, i);
        if ((!id || strcmp(name, id) != 0) &&
            (!truth || strcmp(name, truth) != 0))
            self->features[count++] = name;
    }
    return count;
}

static size_t features_of_model(struct model_predictor *self)
{
    size_t count = calm_model_features(self->model);
    for (size_t i = 0; i < count; i++)
        self->features[i] = calm_model_feature_name(self->model, i);
    return count;
}

static int features_find(struct model_predictor *self,
    const struct calm__dataset *dataset, const char *id)
{
    const calm_predict_opts *opts = self->base.opts;
    if (opts->features) {
        self->base.features = opts->features;
        self->base.feature_count = count_of(opts->features);
        return 0;
    }
    bool named = calm_model_feature_name(self->model, 0) != NULL;
    size_t most = named ? calm_model_features(self->model)
                        : calm__dataset_columns(dataset);
    self->features = calloc(most + 1, sizeof *self->features);
    if (!self->features)
        return calm_fail(-ENOMEM, "no memory for columns");
    self->base.features = self->features;
    self->base.feature_count = named ? features_of_model(self)
                                     : features_by_default(self, dataset, id);
    return 0;
}

static int features_choose(struct model_predictor *self,
    const struct calm__dataset *dataset, const char *id)
{
    const calm_predict_opts *opts = self->base.opts;
    int rc = features_find(self, dataset, id);
    if (rc < 0)
        return rc;
    size_t count = self->base.feature_count;
    size_t wanted = calm_model_features(self->model);
    if (count != wanted && calm__dataset_columns(dataset) > 0)
        return calm_fail(-EINVAL,
            "the model '%s' expects %zu features, '%s' has %zu\n"
            "hint: name the columns by --features, or those that are none by "
            "--id and --truth",
            opts->model, wanted, opts->input, count);
    /* It would be a fine accuracy. */
    for (size_t i = 0; opts->truth && i < count; i++)
        if (strcmp(self->base.features[i], opts->truth) == 0)
            return calm_fail(-EINVAL,
                "the truth '%s' is also a feature of the model", opts->truth);
    return 0;
}

static int columns_choose(struct model_predictor *self)
{
    size_t classes = has_classes(self->model) ? self->values : 0, count = 0;
    self->columns = calloc(2 + classes, sizeof *self->columns);
    self->numbered = calloc(classes + 1, NAME_SIZE);
    if (!self->columns || !self->numbered)
        return calm_fail(-ENOMEM, "no memory for columns");
    self->columns[count++] = "prediction";
    if (has_label(self->model))
        self->columns[count++] = "label";
    for (size_t i = 0; i < classes; i++) {
        char *name = self->numbered + i * NAME_SIZE;
        snprintf(name, NAME_SIZE, "p_%zu", i);
        self->columns[count++] = name;
    }
    self->base.columns = self->columns;
    self->base.column_count = count;
    return 0;
}

static int model_choose(struct calm__predictor *predictor,
    const struct calm__dataset *dataset, const char *id)
{
    struct model_predictor *self = model_of(predictor);
    int rc = features_choose(self, dataset, id);
    if (rc == 0)
        rc = columns_choose(self);
    predictor->row_size =
        sizeof(float) * (predictor->feature_count + VALUE_TEXT * self->values);
    return rc;
}

/* ---- batches ---- */

static int model_batch_open(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    batch->own = calloc(1, sizeof(struct numbers));
    return batch->own ? 0 : -ENOMEM;
}

static void model_batch_close(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    struct numbers *numbers = batch->own;
    if (!numbers)
        return;
    free(numbers->matrix);
    free(numbers->values);
    free(numbers);
}

/* Sizes are checked before they are multiplied; the arrays only grow. */
static int numbers_reserve(
    const struct model_predictor *self, struct numbers *numbers, size_t rows)
{
    size_t matrix, values;
    if (rows <= numbers->room)
        return 0;
    free(numbers->matrix);
    free(numbers->values);
    numbers->matrix = numbers->values = NULL;
    numbers->room = 0;
    if (__builtin_mul_overflow(rows, self->base.feature_count + 1, &matrix) ||
        __builtin_mul_overflow(rows, self->values, &values))
        return -ENOMEM;
    numbers->matrix = calloc(matrix, sizeof *numbers->matrix);
    numbers->values = calloc(values, sizeof *numbers->values);
    if (!numbers->matrix || !numbers->values || calm__fault("memory"))
        return calm_fail(-ENOMEM, "no memory for a batch of %zu rows", rows);
    numbers->room = rows;
    return 0;
}

static int model_prepare(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    struct numbers *numbers = batch->own;
    int rc = numbers_reserve(model_of(predictor), numbers, batch->cut);
    if (rc < 0)
        return rc;
    return calm__batch_floats(batch, numbers->matrix, predictor->feature_count);
}

static int predict_rows(const struct model_predictor *self,
    const struct numbers *numbers, size_t first, size_t count)
{
    size_t columns = self->base.feature_count;
    return calm_model_predict(self->model, numbers->matrix + first * columns,
        count, columns, numbers->values + first * self->values);
}

/* After the model has refused the batch: the rows one by one, so that only
 * those that it refuses fail. XGBoost takes no infinite numbers for some of
 * its models. */
static int predict_each(
    const struct model_predictor *self, struct calm__batch *batch)
{
    const char *cause = NULL;
    for (size_t i = 0; i < batch->count; i++) {
        struct calm__row *row = &batch->rows[i];
        int rc = row->status < 0 ? 0 : predict_rows(self, batch->own, i, 1);
        if (rc == -ENOMEM)
            return rc;
        if (rc < 0 && !cause)
            cause = calm__batch_keep(batch, calm_message(rc));
        if (rc < 0 && !cause)
            return -ENOMEM;
        if (rc < 0) {
            row->status = rc;
            row->cause = cause;
            row->attempts = 1;
        }
    }
    return 0;
}

static int model_predict(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    struct model_predictor *self = model_of(predictor);
    int rc = predict_rows(self, batch->own, 0, batch->count);
    return rc < 0 ? predict_each(self, batch) : rc;
}

/* ---- answers ---- */

static const float *values_of(const struct model_predictor *self,
    const struct calm__batch *batch, size_t index)
{
    const struct numbers *numbers = batch->own;
    return numbers->values + index * self->values;
}

static void model_compare(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, const struct calm__cell *truth)
{
    const struct model_predictor *self = model_of(predictor);
    const float *values = values_of(self, batch, index);
    double expected = calm__cell_number(truth);
    if (isnan(expected))
        return;
    int label = calm_model_label(self->model, values);
    double difference = values[0] - expected;
    batch->quality.compared++;
    batch->quality.right += label >= 0 && label == expected;
    batch->quality.squared_error += difference * difference;
}

/* The value in the column "prediction": for several classes the winner's. */
static float prediction_of(const calm_model *model, const float *values)
{
    return has_classes(model) ? values[calm_model_label(model, values)]
                              : values[0];
}

static void answer_json(const struct model_predictor *self, const float *values,
    calm_json_writer *json)
{
    const calm_model *model = self->model;
    size_t column = 0;
    calm_json_put_key(json, self->columns[column++]);
    calm_json_put_float(json, prediction_of(model, values));
    if (has_label(model)) {
        calm_json_put_key(json, self->columns[column++]);
        calm_json_put_int(json, calm_model_label(model, values));
    }
    for (size_t i = 0; has_classes(model) && i < self->values; i++) {
        calm_json_put_key(json, self->columns[column++]);
        calm_json_put_float(json, values[i]);
    }
}

static int model_answer(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, struct calm__fields *out)
{
    const struct model_predictor *self = model_of(predictor);
    const calm_model *model = self->model;
    const float *values = values_of(self, batch, index);
    if (out->json) {
        answer_json(self, values, &out->object);
        return 0;
    }
    calm_csv_put_float(&out->csv, prediction_of(model, values));
    if (has_label(model))
        calm_csv_put_int(&out->csv, calm_model_label(model, values));
    if (has_classes(model))
        calm_csv_put_floats(&out->csv, values, self->values);
    return 0;
}

/* ---- open, close ---- */

static void model_close(struct calm__predictor *predictor)
{
    struct model_predictor *self = model_of(predictor);
    calm_model_close(self->model);
    free(self->features);
    free(self->columns);
    free(self->numbered);
    free(self);
}

static void model_identity(
    struct calm__predictor *predictor, struct calm__identity *identity)
{
    calm__identity_text(identity, CALM__IDENTITY_MODEL, "model",
        calm_model_hash(model_of(predictor)->model));
}

static const struct calm__predictor_methods model_methods = {
    .close = model_close,
    .choose = model_choose,
    .batch_open = model_batch_open,
    .batch_close = model_batch_close,
    .prepare = model_prepare,
    .predict = model_predict,
    .compare = model_compare,
    .answer = model_answer,
    .identity = model_identity,
};

int calm__predictor_model_open(const calm_predict_opts *opts,
    calm_predict_state *state, struct calm__predictor **ret_predictor)
{
    struct model_predictor *self = calm__alloc(sizeof *self);
    if (!self)
        return calm_fail(-ENOMEM, "no memory for a model");
    *self = (struct model_predictor){.base = {.methods = &model_methods,
                                         .opts = opts,
                                         .state = state,
                                         .where = CALM_ON_CPU,
                                         .batch_size = 4096}};
    int rc = calm_model_open(opts->model,
        &(calm_model_opts){.sha256 = opts->model_sha256}, &self->model);
    if (rc < 0) {
        model_close(&self->base);
        return rc;
    }
    self->values = calm_model_values(self->model);
    self->base.classes = has_label(self->model);
    *ret_predictor = &self->base;
    return 0;
}
