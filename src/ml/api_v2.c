/* api_v2.c - the Open Inference Protocol: what is asked
 *
 * A model has one input with all columns of a row in it, or an input for each
 * column; its metadata tells, and without metadata it is the first, of floats.
 *
 *     matrix    sample   5.1,3.5       data  5.1,3.5,4.9,3.0   as they come
 *     columns   sample   [3]5.1[1]a    data  5.1,4.9  and  a,b
 *
 * A sample of the second kind is its elements with their lengths in front,
 * and a request goes through all samples once for each input.
 */
#include "ml/api_v2.h"

#include "base/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char unnamed[] = "input-0";

/* ---- opening ------------------------------------------------------------- */

static int urls_of(struct calm__api *api, struct calm__v2 *v2)
{
    const char *url = api->opts.url;
    struct calm__url parts = calm__url_split(url);
    const char *query = url + parts.query;
    const char *folder = calm__url_find(url, "/v2/models/");
    bool infer = calm__url_ends(url, "/infer");
    size_t len = parts.query;
    while (len > parts.path && url[len - 1] == '/')
        len--;
    if (!infer && (!folder || url + len < folder + strlen("/v2/models/")))
        return calm_fail(-EINVAL,
            "the URL names no model\n"
            "hint: it should end in /v2/models/NAME/infer");
    size_t model = infer ? len - strlen("/infer") : len;
    int size = asprintf(&api->url, "%.*s/infer%s", (int)model, url, query);
    if (size < 0)
        api->url = NULL;
    if (size >= 0 &&
        asprintf(&v2->urls[0], "%.*s%s", (int)model, url, query) < 0) {
        v2->urls[0] = NULL;
        size = -1;
    }
    if (size >= 0 && folder &&
        asprintf(&v2->urls[1], "%.*s/v2%s", (int)(folder - url), url, query) <
            0) {
        v2->urls[1] = NULL;
        size = -1;
    }
    return size < 0 ? calm_fail(-ENOMEM, "no memory for a URL") : 0;
}

static int v2_open(struct calm__api *api)
{
    struct calm__v2 *v2 = calloc(1, sizeof *v2);
    if (!v2)
        return calm_fail(-ENOMEM, "no memory for an API");
    api->own = v2;
    return urls_of(api, v2);
}

static void v2_close(struct calm__api *api)
{
    struct calm__v2 *v2 = api->own;
    if (!v2)
        return;
    calm__tensors_free(v2->inputs, v2->input_count);
    calm__tensors_free(v2->outputs, v2->output_count);
    free(v2->urls[0]);
    free(v2->urls[1]);
    free(v2);
}

static const char *v2_metadata_url(const struct calm__api *api, size_t index)
{
    const struct calm__v2 *v2 = api->own;
    return index < 2 ? v2->urls[index] : NULL;
}

/* ---- columns ------------------------------------------------------------- */

/* A model that said nothing about itself. */
static int assume_input(struct calm__v2 *v2)
{
    struct calm__tensor *input = calloc(1, sizeof *input);
    if (!input || !(input->name = strdup(unnamed))) {
        free(input);
        return calm_fail(-ENOMEM, "no memory for an input");
    }
    input->type = calm__type_find("FP32");
    input->shape[0] = input->shape[1] = -1;
    input->dimensions = 2;
    free(v2->inputs); /* it may be an empty list */
    v2->inputs = input;
    v2->input_count = 1;
    return 0;
}

/* The elements of a row; -1 for any number of them. */
static int64_t width_of(const struct calm__tensor *input)
{
    int64_t width = 1;
    for (size_t i = 1; i < input->dimensions; i++) {
        if (input->shape[i] < 0)
            return -1;
        if (__builtin_mul_overflow(width, input->shape[i], &width))
            return INT64_MAX;
    }
    return width;
}

static int check_type(
    const struct calm__v2 *v2, const struct calm__tensor *input)
{
    if (!input->type)
        return calm_fail(-EINVAL,
            "the model's input '%s' is of a type that calm does not know",
            input->name);
    if (!v2->binary && !calm__type_has_json(input->type))
        return calm_fail(-EINVAL,
            "the model's input '%s' is of type %s, which has no form in JSON, "
            "and the server does not read the binary form",
            input->name, input->type->name);
    return 0;
}

/* A first dimension that is a number is a batch of that size. */
static int check_batch(struct calm__api *api, const struct calm__tensor *input)
{
    int64_t batch = input->dimensions > 0 ? input->shape[0] : -1;
    if (batch == 1)
        api->rows_max = 1;
    if (batch != -1 && batch != 1)
        return calm_fail(-EINVAL,
            "the model's input '%s' takes batches of exactly %" PRId64 " rows",
            input->name, batch);
    return 0;
}

static int choose_matrix(
    struct calm__api *api, const struct calm__api_table *table)
{
    struct calm__v2 *v2 = api->own;
    struct calm__tensor *input = &v2->inputs[0];
    int64_t width = width_of(input);
    size_t open = 0;
    /* A column of that name alone, where there is room for one only. */
    if (!api->opts.features && width == 1 &&
        calm__api_table_has(table, input->name)) {
        int rc = calm__api_add_column(api, input->name);
        return rc < 0 ? rc : 0;
    }
    int rc = calm__api_choose_columns(api, table, /* with_id= */ false);
    if (rc < 0)
        return rc;
    for (size_t i = 1; i < input->dimensions; i++)
        open += input->shape[i] < 0;
    if (open > 1 || (open == 1 && input->dimensions > 2))
        return calm_fail(-EINVAL,
            "the model's input '%s' has more open dimensions than rows have",
            input->name);
    if (width >= 0 && (uint64_t)width != api->count)
        return calm_fail(-EINVAL,
            "the model's input '%s' expects %" PRId64 " features, there are "
            "%zu\n"
            "hint: name the columns by --features, or those that are none by "
            "--id and --truth",
            input->name, width, api->count);
    return 0;
}

/* An input for each column, of the input's name or the feature's. */
static int choose_each(
    struct calm__api *api, const struct calm__api_table *table)
{
    struct calm__v2 *v2 = api->own;
    const char *const *features = api->opts.features;
    for (size_t i = 0; i < v2->input_count; i++) {
        const struct calm__tensor *input = &v2->inputs[i];
        int64_t width = width_of(input);
        if (width != 1 && width != -1)
            return calm_fail(-EINVAL,
                "the model has %zu inputs, and '%s' expects %" PRId64
                " values of a row, not one",
                v2->input_count, input->name, width);
        if (features && !features[i])
            return calm_fail(-EINVAL, "the model has %zu inputs, not %zu",
                v2->input_count, i);
        const char *name = features ? features[i] : input->name;
        if (!calm__api_table_has(table, name))
            return calm_fail(-EINVAL,
                "there is no column '%s' for the model's input\n"
                "hint: name the columns by --features, in the order of the "
                "inputs",
                name);
        if (table->truth && strcmp(name, table->truth) == 0)
            return calm_fail(-EINVAL, "the truth '%s' is also an input", name);
        int rc = calm__api_add_column(api, name);
        if (rc >= 0 && (size_t)rc < i)
            rc = calm_fail(-EINVAL, "the column '%s' is chosen twice", name);
        if (rc < 0)
            return rc;
    }
    if (features && features[v2->input_count])
        return calm_fail(
            -EINVAL, "the model has %zu inputs, and not more", v2->input_count);
    return 0;
}

static int check_output(const struct calm__api *api)
{
    const struct calm__v2 *v2 = api->own;
    const char *wanted = api->opts.result_path;
    for (size_t i = 0; wanted && i < v2->output_count; i++)
        if (strcmp(v2->outputs[i].name, wanted) == 0)
            return 0;
    if (!wanted || v2->output_count == 0)
        return 0;
    return calm_fail(-EINVAL,
        "the model has no output '%s'\n"
        "hint: its first one is '%s'",
        wanted, v2->outputs[0].name);
}

static int v2_choose(struct calm__api *api, const struct calm__api_table *table)
{
    struct calm__v2 *v2 = api->own;
    int rc = v2->input_count == 0 ? assume_input(v2) : 0;
    v2->binary = v2->server_binary && !api->opts.no_binary;
    for (size_t i = 0; rc == 0 && i < v2->input_count; i++) {
        rc = check_type(v2, &v2->inputs[i]);
        if (rc == 0)
            rc = check_batch(api, &v2->inputs[i]);
    }
    if (rc == 0)
        rc = check_output(api);
    if (rc < 0)
        return rc;
    v2->matrix = v2->input_count == 1;
    return v2->matrix ? choose_matrix(api, table) : choose_each(api, table);
}

/* ---- rows ---------------------------------------------------------------- */

static int put_element(const struct calm__api *api, size_t column,
    const struct calm__tensor *input, const struct calm__cell *cell,
    calm_bytes *out)
{
    const struct calm__v2 *v2 = api->own;
    return (v2->binary ? calm__element_put_binary : calm__element_put_json)(
        api, column, input->type, cell, out);
}

static int row_of_matrix(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    const struct calm__v2 *v2 = api->own;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < api->count; i++) {
        if (i > 0 && !v2->binary)
            rc = calm_bytes_append(out, ",", 1);
        if (rc == 0)
            rc = put_element(api, i, &v2->inputs[0], &cells[i], out);
    }
    return rc;
}

static int row_of_columns(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    const struct calm__v2 *v2 = api->own;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v2->input_count; i++) {
        size_t start = out->len, len = 0;
        rc = calm_bytes_append(out, &len, sizeof len);
        if (rc == 0)
            rc = put_element(api, i, &v2->inputs[i], &cells[i], out);
        len = out->len - start - sizeof len;
        if (rc == 0)
            memcpy(out->data + start, &len, sizeof len);
    }
    return rc;
}

static int v2_row(const struct calm__api *api, const struct calm__cell *cells,
    calm_bytes *out)
{
    const struct calm__v2 *v2 = api->own;
    return (v2->matrix ? row_of_matrix : row_of_columns)(api, cells, out);
}

/* ---- requests ------------------------------------------------------------ */

/* The samples of a request, and how far each was read. */
struct samples {
    const char *data;
    const struct calm__api_span *spans;
    size_t count;
    size_t *read;
};

/* The next element of a sample: all of it, in a matrix. */
static const char *next_element(
    struct samples *samples, size_t row, size_t *ret_len)
{
    const struct calm__api_span *span = &samples->spans[row];
    const char *sample = samples->data + span->start;
    if (!samples->read) {
        *ret_len = span->len;
        return sample;
    }
    memcpy(ret_len, sample + samples->read[row], sizeof *ret_len);
    sample += samples->read[row] + sizeof *ret_len;
    samples->read[row] += sizeof *ret_len + *ret_len;
    return sample;
}

/* The elements of one input: text with commas between them, or bytes. */
static int put_elements(struct samples *samples, bool binary, calm_bytes *out)
{
    int rc = 0;
    for (size_t row = 0; rc == 0 && row < samples->count; row++) {
        size_t len;
        const char *element = next_element(samples, row, &len);
        if (row > 0 && !binary)
            rc = calm_bytes_append(out, ",", 1);
        if (rc == 0)
            rc = calm_bytes_append(out, element, len);
    }
    return rc;
}

static void put_shape(const struct calm__api *api,
    const struct calm__tensor *input, size_t rows, calm_json_writer *json)
{
    const struct calm__v2 *v2 = api->own;
    calm_json_put_key(json, "shape");
    calm_json_begin_array(json);
    calm_json_put_uint(json, rows);
    for (size_t i = 1; i < input->dimensions; i++)
        calm_json_put_uint(json, input->shape[i] >= 0
                                     ? (uint64_t)input->shape[i]
                                 : v2->matrix ? api->count
                                              : 1);
    calm_json_end_array(json);
}

/* The bytes of binary data gather in the request's scratch, for behind. */
static int put_input(const struct calm__api *api,
    const struct calm__tensor *input, struct samples *samples,
    struct calm__api_request *request, calm_json_writer *json)
{
    const struct calm__v2 *v2 = api->own;
    calm_json_begin_object(json);
    calm_json_put_key(json, "name");
    calm_json_put_text(json, input->name);
    put_shape(api, input, samples->count, json);
    calm_json_put_key(json, "datatype");
    calm_json_put_text(json, input->type->name);
    if (!v2->binary) {
        calm_json_put_key(json, "data");
        calm_json_put_raw(json, "[", 1);
        int rc = json->error;
        if (rc == 0)
            rc = put_elements(samples, false, &request->body);
        if (rc == 0)
            rc = calm_bytes_append(&request->body, "]", 1);
        if (rc < 0)
            return rc;
        return calm_json_end_object(json);
    }
    size_t before = request->scratch.len;
    int rc = put_elements(samples, true, &request->scratch);
    if (rc < 0)
        return rc;
    calm_json_put_key(json, "parameters");
    calm_json_begin_object(json);
    calm_json_put_key(json, "binary_data_size");
    calm_json_put_uint(json, request->scratch.len - before);
    calm_json_end_object(json);
    return calm_json_end_object(json);
}

static int put_request(const struct calm__api *api, struct samples *samples,
    uint64_t id, struct calm__api_request *request)
{
    const struct calm__v2 *v2 = api->own;
    calm_json_writer json = {.out = &request->body};
    char name[32];
    snprintf(name, sizeof name, "b%" PRIu64, id);
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "id");
    calm_json_put_text(&json, name);
    if (v2->binary) {
        calm_json_put_key(&json, "parameters");
        calm_json_put_raw(&json, "{\"binary_data_output\":true}", 27);
    }
    calm_json_put_key(&json, "inputs");
    calm_json_begin_array(&json);
    int rc = json.error;
    for (size_t i = 0; rc == 0 && i < v2->input_count; i++)
        rc = put_input(api, &v2->inputs[i], samples, request, &json);
    if (rc < 0)
        return rc;
    calm_json_end_array(&json);
    if (api->opts.result_path) {
        calm_json_put_key(&json, "outputs");
        calm_json_begin_array(&json);
        calm_json_begin_object(&json);
        calm_json_put_key(&json, "name");
        calm_json_put_text(&json, api->opts.result_path);
        calm_json_end_object(&json);
        calm_json_end_array(&json);
    }
    return calm_json_end_object(&json);
}

static int v2_request(const struct calm__api *api, const char *data,
    const struct calm__api_span *spans, size_t count, uint64_t id,
    struct calm__api_request *request)
{
    const struct calm__v2 *v2 = api->own;
    struct samples samples = {.data = data, .spans = spans, .count = count};
    if (!v2->matrix) {
        samples.read = calloc(count, sizeof *samples.read);
        if (!samples.read)
            return calm_fail(-ENOMEM, "no memory for a request");
    }
    calm_bytes_reset(&request->scratch);
    int rc = put_request(api, &samples, id, request);
    free(samples.read);
    if (rc < 0 || !v2->binary)
        return rc;
    request->json_len = request->body.len;
    request->content_type = "application/octet-stream";
    request->wants_binary = true;
    return calm_bytes_append(
        &request->body, request->scratch.data, request->scratch.len);
}

const struct calm__api_format calm__api_v2 = {
    .open = v2_open,
    .close = v2_close,
    .metadata_url = v2_metadata_url,
    .learn = calm__v2_learn,
    .choose = v2_choose,
    .row = v2_row,
    .request = v2_request,
    .answer = calm__v2_answer,
};
