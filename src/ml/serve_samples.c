/* serve_samples.c - samples -> rows, predictions -> JSON
 *
 *     {"samples": [..]} -> {"predictions": [..]}      the generic endpoint
 *     {"instances": [..]} -> {"predictions": [..]}    v1, row by row
 *     {"inputs": ..} -> {"outputs": [..]}             v1, by columns
 *
 * A sample is an array of all the model's numbers, or an object by the names
 * of its features, whose further members are left alone and whose absent ones
 * are missing values. null is a missing value, too.
 */
#include "ml/serve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A value of a row. Returns 0, or CALM_EFORMAT without a sentence. */
static int number_read(const calm_json_value *value, float *ret_number)
{
    switch (calm_json_kind_of(value)) {
    case CALM_JSON_NUMBER:
    case CALM_JSON_BOOL:
        *ret_number = (float)calm_json_number(value);
        return 0;
    case CALM_JSON_NULL:
        *ret_number = NAN;
        return 0;
    default:
        return CALM_EFORMAT;
    }
}

static int array_read(
    const calm_json_value *sample, size_t row, float *numbers, size_t columns)
{
    size_t column = 0;
    if (calm_json_count(sample) != columns)
        return calm_fail(CALM_EFORMAT,
            "sample %zu has %zu numbers instead of %zu", row,
            calm_json_count(sample), columns);
    for (const calm_json_value *value = calm_json_first(sample); value;
         value = calm_json_next(value), column++)
        if (number_read(value, &numbers[column]) < 0)
            return calm_fail(CALM_EFORMAT,
                "sample %zu, number %zu is %s instead of a number", row, column,
                calm_json_kind_name(calm_json_kind_of(value)));
    return 0;
}

static int object_read(const struct calm__served *served,
    const calm_json_value *sample, size_t row, float *numbers)
{
    size_t found = 0, next = 0;
    for (const calm_json_value *value = calm_json_first(sample); value;
         value = calm_json_next(value)) {
        const char *name = calm_json_name(value);
        int feature = calm__feature_find(served, name, next);
        if (feature < 0)
            continue;
        if (number_read(value, &numbers[feature]) < 0)
            return calm_fail(CALM_EFORMAT,
                "sample %zu, '%.64s' is %s instead of a number", row, name,
                calm_json_kind_name(calm_json_kind_of(value)));
        next = (size_t)feature + 1;
        found++;
    }
    if (found > 0)
        return 0;
    if (!served->names.slots)
        return calm_fail(CALM_EFORMAT,
            "sample %zu is an object, but the model knows no names of its "
            "features\nhint: send arrays of %zu numbers",
            row, calm_model_features(served->model));
    return calm_fail(CALM_EFORMAT,
        "sample %zu has none of the model's features, such as '%.64s'", row,
        calm_model_feature_name(served->model, 0));
}

static int rows_read(const struct calm__served *served,
    const calm_json_value *samples, struct calm__matrix *matrix)
{
    size_t columns = calm_model_features(served->model), row = 0;
    int rc = calm__matrix_make(matrix, calm_json_count(samples), columns);
    for (const calm_json_value *sample = calm_json_first(samples);
         rc == 0 && sample; sample = calm_json_next(sample), row++) {
        float *numbers = matrix->values + row * columns;
        switch (calm_json_kind_of(sample)) {
        case CALM_JSON_ARRAY:
            rc = array_read(sample, row, numbers, columns);
            break;
        case CALM_JSON_OBJECT:
            rc = object_read(served, sample, row, numbers);
            break;
        default:
            rc = calm_fail(CALM_EFORMAT,
                "sample %zu is %s instead of an array or an object", row,
                calm_json_kind_name(calm_json_kind_of(sample)));
        }
    }
    return rc;
}

/* ---- by columns ---- */

/* {"age": [..], "income": [..]}: every column as long as the first. */
static int columns_read(const struct calm__served *served,
    const calm_json_value *inputs, struct calm__matrix *matrix)
{
    size_t columns = calm_model_features(served->model), next = 0;
    size_t rows = calm_json_count(calm_json_first(inputs));
    int rc = calm__matrix_make(matrix, rows, columns);
    for (const calm_json_value *column = calm_json_first(inputs);
         rc == 0 && column; column = calm_json_next(column)) {
        const char *name = calm_json_name(column);
        int feature = calm__feature_find(served, name, next++);
        if (feature < 0)
            return calm_fail(
                CALM_EFORMAT, "the model has no feature '%.64s'", name);
        if (calm_json_kind_of(column) != CALM_JSON_ARRAY)
            return calm_fail(CALM_EFORMAT, "'%.64s' is %s instead of an array",
                name, calm_json_kind_name(calm_json_kind_of(column)));
        if (calm_json_count(column) != rows)
            return calm_fail(CALM_EFORMAT,
                "'%.64s' has %zu values instead of %zu", name,
                calm_json_count(column), rows);
        float *number = matrix->values + feature;
        for (const calm_json_value *value = calm_json_first(column); value;
             value = calm_json_next(value), number += columns)
            if (number_read(value, number) < 0)
                return calm_fail(CALM_EFORMAT,
                    "a value of '%.64s' is %s instead of a number", name,
                    calm_json_kind_name(calm_json_kind_of(value)));
    }
    return rc;
}

/* ---- requests ---- */

struct reading {
    struct calm__exchange *exchange;
    const char *text;
    size_t len;
    struct calm__matrix matrix;
    float *values;
    const char *answer; /* the member that the predictions go into */
    calm_json_writer json;
};

static int rows_member(struct reading *reading, const calm_json_value *root,
    const char *name, const calm_json_value **ret_rows)
{
    const calm_json_value *rows = calm_json_get(root, name);
    if (calm_json_kind_of(rows) != CALM_JSON_ARRAY)
        return calm_fail(CALM_EFORMAT, "'%s' is %s instead of an array", name,
            calm_json_kind_name(calm_json_kind_of(rows)));
    reading->answer = "predictions";
    *ret_rows = rows;
    return 0;
}

static int v1_read(struct reading *reading, const calm_json_value *root)
{
    const struct calm__served *served = reading->exchange->served;
    const calm_json_value *inputs = calm_json_get(root, "inputs");
    const calm_json_value *rows = calm_json_get(root, "instances");
    if (inputs && rows)
        return calm_fail(
            CALM_EFORMAT, "there are both 'instances' and 'inputs'");
    if (inputs) {
        reading->answer = "outputs";
        if (calm_json_kind_of(inputs) == CALM_JSON_OBJECT)
            return columns_read(served, inputs, &reading->matrix);
        if (calm_json_kind_of(inputs) == CALM_JSON_ARRAY)
            return rows_read(served, inputs, &reading->matrix);
        return calm_fail(CALM_EFORMAT,
            "'inputs' is %s instead of an object or an array",
            calm_json_kind_name(calm_json_kind_of(inputs)));
    }
    int rc = rows_member(reading, root, "instances", &rows);
    return rc < 0 ? rc : rows_read(served, rows, &reading->matrix);
}

static int samples_read(struct reading *reading, const calm_json_value *root)
{
    const calm_json_value *rows;
    int rc = rows_member(reading, root, "samples", &rows);
    return rc < 0
               ? rc
               : rows_read(reading->exchange->served, rows, &reading->matrix);
}

static int read_all(void *arg)
{
    struct reading *reading = arg;
    calm_json_doc *doc;
    int rc = calm__json_of_request(
        reading->exchange, reading->text, reading->len, &doc);
    if (rc < 0)
        return rc;
    const calm_json_value *root = calm_json_root(doc);
    if (calm_json_kind_of(root) != CALM_JSON_OBJECT)
        rc = calm_fail(CALM_EFORMAT, "the body is %s instead of an object",
            calm_json_kind_name(calm_json_kind_of(root)));
    else if (reading->exchange->endpoint == CALM__SERVE_V1_PREDICT)
        rc = v1_read(reading, root);
    else
        rc = samples_read(reading, root);
    calm_json_free(doc);
    return rc;
}

/* ---- answers ---- */

static int answer_put(void *arg)
{
    struct reading *reading = arg;
    size_t each = calm_model_values(reading->exchange->served->model);
    const float *values = reading->values;
    calm_json_writer *json = &reading->json;
    calm_json_begin_object(json);
    calm_json_put_key(json, reading->answer);
    if (each == 1) {
        calm_json_put_floats(json, values, reading->matrix.rows);
    } else {
        calm_json_begin_array(json);
        for (size_t row = 0; row < reading->matrix.rows; row++)
            calm_json_put_floats(json, values + row * each, each);
        calm_json_end_array(json);
    }
    return calm_json_end_object(json);
}

static int answer(struct reading *reading)
{
    struct calm__exchange *exchange = reading->exchange;
    size_t numbers =
        reading->matrix.rows * calm_model_values(exchange->served->model);
    calm_bytes body = {0};
    reading->json = (calm_json_writer){.out = &body};
    int rc =
        calm__serve_compute(numbers * CALM__NUMBER_BYTES, answer_put, reading);
    if (rc == 0)
        rc = calm__exchange_json(exchange, 200, &reading->json);
    calm_bytes_clear(&body);
    return rc;
}

int calm__serve_samples(struct calm__exchange *exchange)
{
    struct reading reading = {.exchange = exchange};
    reading.text = calm_request_body(exchange->request, &reading.len);
    int rc = calm__serve_compute(reading.len, read_all, &reading);
    if (rc == 0)
        rc = calm__serve_predict(exchange, &reading.matrix, &reading.values);
    if (rc == 0)
        rc = answer(&reading);
    free(reading.values);
    calm__matrix_clear(&reading.matrix);
    return rc;
}
