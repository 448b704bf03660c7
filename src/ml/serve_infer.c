/* serve_infer.c - the Open Inference Protocol's infer
 *
 * The rows come as one input, named "input", of shape [rows, features], or as
 * one input for each feature, named like it, of shape [rows] or [rows, 1].
 * Two outputs are there to be asked for: "prediction", what the model gives,
 * and, where it has classes, "label", the number of the class.
 *
 * With the binary extension the body is JSON and then the tensors' bytes, in
 * their order; Inference-Header-Content-Length says where JSON ends.
 */
#include "ml/serve_tensor.h"

#include <calm/number.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char length_header[] = "Inference-Header-Content-Length";

enum output { PREDICTION, LABEL, OUTPUTS };

static const char *const output_names[OUTPUTS] = {"prediction", "label"};

/* How an output is wanted. */
struct wanted {
    bool asked;
    bool binary;
};

struct inference {
    struct calm__exchange *exchange;
    const char *text, *raw;
    size_t text_len, raw_len;
    calm_bytes id; /* as JSON, "" for none */
    struct calm__matrix matrix;
    struct wanted outputs[OUTPUTS];
    float *values;
    int64_t *labels;
    calm_json_writer json;
};

/* ---- the body ---- */

static bool has_labels(const struct inference *inference)
{
    return calm_model_kind(inference->exchange->served->model) !=
           CALM_MODEL_VALUE;
}

static int body_cut(struct inference *inference)
{
    calm_request *request = inference->exchange->request;
    const char *text = calm_request_header(request, length_header);
    size_t len;
    inference->text = calm_request_body(request, &len);
    inference->text_len = len;
    if (!text)
        return 0;
    int64_t json;
    if (calm_int64_parse(text, strlen(text), &json) < 0 || json < 0 ||
        (size_t)json > len)
        return calm_fail(CALM_EFORMAT,
            "%s '%.32s' does not fit a body of %zu bytes", length_header, text,
            len);
    inference->text_len = (size_t)json;
    inference->raw = inference->text + json;
    inference->raw_len = len - (size_t)json;
    return 0;
}

/* ---- inputs ---- */

static int whole_check(
    const struct inference *inference, const struct calm__tensor *tensor)
{
    size_t columns = calm_model_features(inference->exchange->served->model);
    if (tensor->flat || tensor->width != columns)
        return calm_fail(CALM_EFORMAT,
            "the shape of input '%.64s' is not [-1, %zu]", tensor->name,
            columns);
    return 0;
}

static int whole_read(
    struct inference *inference, const struct calm__tensor *tensor)
{
    int rc = whole_check(inference, tensor);
    if (rc == 0)
        rc =
            calm__matrix_make(&inference->matrix, tensor->count, tensor->width);
    return rc < 0 ? rc
                  : calm__tensor_read(tensor, inference->matrix.values,
                        inference->matrix.columns);
}

/* One feature's rows. FIRST: there is no matrix yet. */
static int column_read(struct inference *inference,
    const struct calm__tensor *tensor, size_t feature, bool first)
{
    const calm_model *model = inference->exchange->served->model;
    struct calm__matrix *matrix = &inference->matrix;
    if (tensor->width != 1)
        return calm_fail(CALM_EFORMAT,
            "the shape of input '%.64s' is neither [-1] nor [-1, 1]",
            tensor->name);
    int rc = first ? calm__matrix_make(
                         matrix, tensor->count, calm_model_features(model))
                   : 0;
    if (rc < 0)
        return rc;
    if (tensor->count != matrix->rows)
        return calm_fail(CALM_EFORMAT, "input '%.64s' has %zu rows, not %zu",
            tensor->name, tensor->count, matrix->rows);
    return calm__tensor_read(tensor, matrix->values + feature, matrix->columns);
}

/* In any order, but every feature once. */
static int columns_read(
    struct inference *inference, const calm_json_value *input, bool *seen)
{
    const struct calm__served *served = inference->exchange->served;
    size_t count = 0, features = calm_model_features(served->model);
    for (; input; input = calm_json_next(input), count++) {
        struct calm__tensor tensor;
        int rc = calm__tensor_describe(
            &tensor, input, &inference->raw, &inference->raw_len);
        if (rc < 0)
            return rc;
        int feature = calm__feature_find(served, tensor.name, count);
        if (feature < 0)
            return calm_fail(CALM_EFORMAT,
                "the model has no input '%.64s': it has 'input', of shape "
                "[-1, %zu]",
                tensor.name, features);
        if (seen[feature])
            return calm_fail(
                CALM_EFORMAT, "input '%.64s' is there twice", tensor.name);
        seen[feature] = true;
        rc = column_read(inference, &tensor, (size_t)feature, count == 0);
        if (rc < 0)
            return rc;
    }
    if (count < features)
        return calm_fail(CALM_EFORMAT,
            "there are %zu inputs, but the model has %zu features", count,
            features);
    return 0;
}

static bool is_whole(const calm_json_value *inputs)
{
    const char *name =
        calm_json_text(calm_json_get(calm_json_first(inputs), "name"), NULL);
    return calm_json_count(inputs) == 1 && name && strcmp(name, "input") == 0;
}

static int inputs_read(
    struct inference *inference, const calm_json_value *inputs)
{
    const calm_model *model = inference->exchange->served->model;
    const calm_json_value *first = calm_json_first(inputs);
    if (calm_json_kind_of(inputs) != CALM_JSON_ARRAY || !first)
        return calm_fail(CALM_EFORMAT, "there are no inputs");
    if (is_whole(inputs)) {
        struct calm__tensor tensor;
        int rc = calm__tensor_describe(
            &tensor, first, &inference->raw, &inference->raw_len);
        return rc < 0 ? rc : whole_read(inference, &tensor);
    }
    bool *seen = calloc(calm_model_features(model), sizeof *seen);
    if (!seen)
        return calm_fail(-ENOMEM, "no memory for the inputs");
    int rc = columns_read(inference, first, seen);
    free(seen);
    return rc;
}

/* ---- outputs that are asked for ---- */

static bool binary_wanted(
    const calm_json_value *parameters, const char *name, bool otherwise)
{
    const calm_json_value *value = calm_json_get(parameters, name);
    return value ? calm_json_true(value) : otherwise;
}

static int output_ask(
    struct inference *inference, const calm_json_value *output, bool binary)
{
    const char *name = calm_json_text(calm_json_get(output, "name"), NULL);
    size_t known = has_labels(inference) ? OUTPUTS : PREDICTION + 1;
    if (!name)
        return calm_fail(CALM_EFORMAT, "an output has no name");
    for (size_t i = 0; i < known; i++)
        if (strcmp(output_names[i], name) == 0) {
            inference->outputs[i] = (struct wanted){
                true, binary_wanted(calm_json_get(output, "parameters"),
                          "binary_data", binary)};
            return 0;
        }
    return calm_fail(CALM_EFORMAT, "the model has no output '%.64s'", name);
}

static int outputs_read(
    struct inference *inference, const calm_json_value *root)
{
    const calm_json_value *outputs = calm_json_get(root, "outputs");
    bool binary = binary_wanted(calm_json_get(root, "parameters"),
        "binary_data_output", /* otherwise= */ false);
    if (outputs && calm_json_kind_of(outputs) != CALM_JSON_ARRAY)
        return calm_fail(CALM_EFORMAT, "'outputs' is %s instead of an array",
            calm_json_kind_name(calm_json_kind_of(outputs)));
    if (calm_json_count(outputs) == 0) {
        inference->outputs[PREDICTION] = (struct wanted){true, binary};
        inference->outputs[LABEL] =
            (struct wanted){has_labels(inference), binary};
        return 0;
    }
    int rc = 0;
    for (const calm_json_value *output = calm_json_first(outputs);
         rc == 0 && output; output = calm_json_next(output))
        rc = output_ask(inference, output, binary);
    return rc;
}

/* ---- the request as a whole ---- */

static int id_read(struct inference *inference, const calm_json_value *id)
{
    size_t len;
    if (!id)
        return 0;
    if (calm_json_kind_of(id) != CALM_JSON_STRING)
        return calm_fail(CALM_EFORMAT, "'id' is %s instead of a string",
            calm_json_kind_name(calm_json_kind_of(id)));
    const char *raw = calm_json_raw(id, &len);
    return calm_bytes_append(&inference->id, raw, len);
}

static int root_read(struct inference *inference, const calm_json_value *root)
{
    if (calm_json_kind_of(root) != CALM_JSON_OBJECT)
        return calm_fail(CALM_EFORMAT, "the body is %s instead of an object",
            calm_json_kind_name(calm_json_kind_of(root)));
    int rc = id_read(inference, calm_json_get(root, "id"));
    if (rc == 0)
        rc = inputs_read(inference, calm_json_get(root, "inputs"));
    if (rc == 0 && inference->raw_len > 0)
        return calm_fail(CALM_EFORMAT, "%zu bytes are behind the last input",
            inference->raw_len);
    return rc < 0 ? rc : outputs_read(inference, root);
}

/* The tree, many times as large as the text, does not wait for the model. */
static int request_read(void *arg)
{
    struct inference *inference = arg;
    calm_json_doc *doc;
    int rc = calm__json_of_request(
        inference->exchange, inference->text, inference->text_len, &doc);
    if (rc < 0)
        return rc;
    rc = root_read(inference, calm_json_root(doc));
    calm_json_free(doc);
    return rc;
}

/* ---- the answer ---- */

static int labels_make(struct inference *inference)
{
    const calm_model *model = inference->exchange->served->model;
    size_t each = calm_model_values(model), rows = inference->matrix.rows;
    if (!inference->outputs[LABEL].asked)
        return 0;
    inference->labels = calloc(rows + 1, sizeof *inference->labels);
    if (!inference->labels)
        return calm_fail(-ENOMEM, "no memory for %zu labels", rows);
    for (size_t i = 0; i < rows; i++)
        inference->labels[i] =
            calm_model_label(model, inference->values + i * each);
    return 0;
}

static size_t output_size(const struct inference *inference, enum output output)
{
    size_t each = calm_model_values(inference->exchange->served->model);
    return output == LABEL
               ? inference->matrix.rows * sizeof *inference->labels
               : inference->matrix.rows * each * sizeof *inference->values;
}

static void shape_put(
    const struct inference *inference, enum output output, calm_json_writer *to)
{
    size_t each = calm_model_values(inference->exchange->served->model);
    calm_json_put_key(to, "shape");
    calm_json_begin_array(to);
    calm_json_put_uint(to, inference->matrix.rows);
    if (output == PREDICTION && each > 1)
        calm_json_put_uint(to, each);
    calm_json_end_array(to);
}

static void data_put(
    const struct inference *inference, enum output output, calm_json_writer *to)
{
    size_t rows = inference->matrix.rows;
    size_t each = calm_model_values(inference->exchange->served->model);
    if (inference->outputs[output].binary) {
        calm_json_put_key(to, "parameters");
        calm_json_begin_object(to);
        calm_json_put_key(to, "binary_data_size");
        calm_json_put_uint(to, output_size(inference, output));
        calm_json_end_object(to);
        return;
    }
    calm_json_put_key(to, "data");
    if (output == PREDICTION) {
        calm_json_put_floats(to, inference->values, rows * each);
        return;
    }
    calm_json_begin_array(to);
    for (size_t i = 0; i < rows; i++)
        calm_json_put_int(to, inference->labels[i]);
    calm_json_end_array(to);
}

static void output_put(
    const struct inference *inference, enum output output, calm_json_writer *to)
{
    if (!inference->outputs[output].asked)
        return;
    calm_json_begin_object(to);
    calm_json_put_key(to, "name");
    calm_json_put_text(to, output_names[output]);
    calm_json_put_key(to, "datatype");
    calm_json_put_text(to, output == LABEL ? "INT64" : "FP32");
    shape_put(inference, output, to);
    data_put(inference, output, to);
    calm_json_end_object(to);
}

static int answer_put(void *arg)
{
    struct inference *inference = arg;
    calm_json_writer *to = &inference->json;
    const calm_bytes *id = &inference->id;
    calm_json_begin_object(to);
    calm_json_put_key(to, "model_name");
    calm_json_put_text(to, inference->exchange->served->name);
    calm_json_put_key(to, "model_version");
    calm_json_put_text(to, "1");
    if (id->len > 0) {
        calm_json_put_key(to, "id");
        calm_json_put_raw(to, id->data, id->len);
    }
    calm_json_put_key(to, "outputs");
    calm_json_begin_array(to);
    int rc = labels_make(inference);
    if (rc < 0)
        return rc;
    for (int i = 0; i < OUTPUTS; i++)
        output_put(inference, i, to);
    calm_json_end_array(to);
    return calm_json_end_object(to);
}

/* Behind the JSON, in its order. */
static int binary_append(const struct inference *inference, calm_bytes *body)
{
    const void *from[OUTPUTS] = {inference->values, inference->labels};
    int rc = 0;
    for (int i = 0; i < OUTPUTS; i++) {
        size_t size = output_size(inference, i);
        const struct wanted *wanted = &inference->outputs[i];
        if (rc == 0 && wanted->asked && wanted->binary && size > 0)
            rc = calm_bytes_append(body, from[i], size);
    }
    return rc;
}

static int answer_binary(struct inference *inference, calm_bytes *body)
{
    calm_request *request = inference->exchange->request;
    char length[32];
    snprintf(length, sizeof length, "%zu", body->len);
    int rc = binary_append(inference, body);
    if (rc == 0)
        rc = calm_respond_header(request, length_header, length);
    if (rc == 0)
        rc = calm_respond_bytes(request, 200, "application/octet-stream", body);
    if (rc == 0)
        inference->exchange->status = 200;
    return rc;
}

/* What there is to write as JSON: the labels are computed beside. */
static size_t answer_bytes(const struct inference *inference)
{
    size_t each = calm_model_values(inference->exchange->served->model);
    const struct wanted *wanted = inference->outputs;
    size_t numbers = wanted[LABEL].asked;
    if (wanted[PREDICTION].asked && !wanted[PREDICTION].binary)
        numbers += each;
    return inference->matrix.rows * numbers * CALM__NUMBER_BYTES;
}

static int answer(struct inference *inference)
{
    calm_bytes body = {0};
    inference->json = (calm_json_writer){.out = &body};
    int rc =
        calm__serve_compute(answer_bytes(inference), answer_put, inference);
    if (rc == 0)
        rc = inference->outputs[PREDICTION].binary ||
                     inference->outputs[LABEL].binary
                 ? answer_binary(inference, &body)
                 : calm__exchange_json(
                       inference->exchange, 200, &inference->json);
    calm_bytes_clear(&body);
    return rc;
}

int calm__serve_infer(struct calm__exchange *exchange)
{
    struct inference inference = {.exchange = exchange};
    int rc = body_cut(&inference);
    if (rc == 0)
        rc = calm__serve_compute(
            inference.text_len + inference.raw_len, request_read, &inference);
    if (rc == 0)
        rc =
            calm__serve_predict(exchange, &inference.matrix, &inference.values);
    if (rc == 0)
        rc = answer(&inference);
    free(inference.values);
    free(inference.labels);
    calm__matrix_clear(&inference.matrix);
    calm_bytes_clear(&inference.id);
    return rc;
}
