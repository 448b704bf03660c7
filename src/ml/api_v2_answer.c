/* api_v2_answer.c - the Open Inference Protocol: what is answered
 *
 * An output is a tensor whose first dimension is the rows. Its elements stand
 * in the JSON, flat or nested, or as bytes behind it; the parser lays values
 * down in the order in which they begin, so the elements of a tensor that has
 * the shape it says lie one behind the other, with arrays between them:
 *
 *     shape [2, 2]     flat  [1, 2, 3, 4]     nested  [[1, 2], [3, 4]]
 *
 * A row with one element is that element; with more it is an array, nested as
 * the shape says.
 */
#include "ml/api_v2.h"

#include "base/buffer.h"
#include "io/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* An output, and where its next element is. */
struct output {
    const struct calm__type *type;
    int64_t shape[CALM__DIMENSIONS_MOST];
    size_t dimensions;
    uint64_t width;              /* elements of a row */
    const calm_json_value *json; /* the next element, or an array before it */
    const char *binary, *end;    /* instead */
};

/* ---- checking ------------------------------------------------------------ */

/* Whether the arrays are in each other as the shape says; all of them have
 * their elements then. The depth is at most the dimensions. */
static bool nests(
    const struct output *output, const calm_json_value *value, size_t depth)
{
    if (depth == output->dimensions)
        return calm__element_fits(output->type, value);
    if (calm_json_kind_of(value) != CALM_JSON_ARRAY ||
        calm_json_count(value) != (uint64_t)output->shape[depth])
        return false;
    for (const calm_json_value *each = calm_json_first(value); each;
         each = calm_json_next(each))
        if (!nests(output, each, depth + 1))
            return false;
    return true;
}

static bool is_flat(
    const struct output *output, const calm_json_value *value, uint64_t count)
{
    if (calm_json_kind_of(value) != CALM_JSON_ARRAY ||
        calm_json_count(value) != count)
        return false;
    for (const calm_json_value *each = calm_json_first(value); each;
         each = calm_json_next(each))
        if (!calm__element_fits(output->type, each))
            return false;
    return true;
}

static int check_json(struct output *output, const calm_json_value *data,
    uint64_t count, const char *name)
{
    if (!calm__type_has_json(output->type))
        return calm_fail(CALM_EFORMAT, "the output '%s' is %s in JSON", name,
            output->type->name);
    if (!is_flat(output, data, count) && !nests(output, data, 0))
        return calm_fail(CALM_EFORMAT,
            "the data of output '%s' has not the shape or the type that it "
            "says",
            name);
    output->json = data + 1;
    return 0;
}

/* Takes the bytes of the output off those that are left. */
static int check_binary(struct output *output, const calm_json_value *size,
    uint64_t count, const char *name, const char **rest, const char *end)
{
    int64_t len;
    int rc = calm_json_int64(size, &len);
    if (rc < 0 || len < 0 || len > end - *rest)
        return calm_fail(CALM_EFORMAT,
            "the output '%s' has more bytes than there are", name);
    output->binary = *rest;
    output->end = *rest += len;
    const char *at = output->binary;
    uint64_t found = 0, step;
    if (output->type->size > 0) {
        found = (uint64_t)len % output->type->size == 0
                    ? (uint64_t)len / output->type->size
                    : UINT64_MAX;
        at = output->end;
    }
    for (; at < output->end && found <= count; at += step, found++) {
        step = calm__element_size(output->type, at, (size_t)(output->end - at));
        if (step == 0)
            break;
    }
    if (at != output->end || found != count)
        return calm_fail(CALM_EFORMAT,
            "the bytes of output '%s' are not those of its shape", name);
    return 0;
}

/* The elements in all, of a row, and whether the rows are as many. */
static int check_shape(struct output *output, const calm_json_value *value,
    size_t rows, const char *name, uint64_t *ret_count)
{
    int rc = calm__shape_read(calm_json_get(value, "shape"), /* least= */ 0,
        output->shape, &output->dimensions);
    if (rc < 0)
        return calm_while(rc, "the output '%s'", name);
    if (output->dimensions == 0 || (uint64_t)output->shape[0] != rows)
        return calm_fail(CALM_EFORMAT,
            "the output '%s' has %" PRId64 " rows instead of %zu", name,
            output->dimensions ? output->shape[0] : 0, rows);
    output->width = 1;
    for (size_t i = 1; i < output->dimensions; i++)
        if (__builtin_mul_overflow(
                output->width, (uint64_t)output->shape[i], &output->width))
            return calm_fail(
                CALM_EFORMAT, "the output '%s' is too large", name);
    if (__builtin_mul_overflow(output->width, rows, ret_count))
        return calm_fail(CALM_EFORMAT, "the output '%s' is too large", name);
    return 0;
}

static int read_output(const calm_json_value *value, size_t rows,
    const char *name, const char **rest, const char *end,
    struct output *ret_output)
{
    struct output output = {0};
    const calm_json_value *data, *parameters, *size;
    const char *type = calm_json_text(calm_json_get(value, "datatype"), NULL);
    uint64_t count = 0;
    output.type = type ? calm__type_find(type) : NULL;
    if (!output.type)
        return calm_fail(
            CALM_EFORMAT, "the output '%s' has no type that calm knows", name);
    int rc = check_shape(&output, value, rows, name, &count);
    if (rc == 0)
        rc = calm__reply_member(value, "data", &data);
    if (rc == 0)
        rc = calm__reply_member(value, "parameters", &parameters);
    if (rc == 0)
        rc = calm__reply_member(parameters, "binary_data_size", &size);
    if (rc < 0)
        return rc;
    if (!data == !size)
        return calm_fail(CALM_EFORMAT, "the output '%s' has %s data", name,
            data ? "twice its" : "no");
    rc = size ? check_binary(&output, size, count, name, rest, end)
              : check_json(&output, data, count, name);
    if (rc == 0)
        *ret_output = output;
    return rc;
}

/* ---- rows ---------------------------------------------------------------- */

/* The next element: a piece of the body, or made of bytes. */
static int put_element(const struct calm__reply *reply, struct output *output,
    bool quoted, calm_bytes *text, struct calm__api_result *result)
{
    if (output->binary) {
        size_t size = calm__element_size(output->type, output->binary,
            (size_t)(output->end - output->binary));
        int rc = calm__element_show(
            output->type, output->binary, quoted, text, &result->json);
        output->binary += size;
        return rc;
    }
    while (calm_json_kind_of(output->json) == CALM_JSON_ARRAY)
        output->json++;
    const calm_json_value *value = output->json++;
    if (!quoted)
        return calm__reply_put(reply, value, text, result);
    size_t len;
    const char *raw = calm_json_raw(value, &len);
    return calm_bytes_append(text, raw, len);
}

static int put_array(const struct calm__reply *reply, struct output *output,
    size_t depth, calm_bytes *text, struct calm__api_result *result)
{
    if (depth == output->dimensions)
        return put_element(reply, output, /* quoted= */ true, text, result);
    int rc = calm_bytes_append(text, "[", 1);
    /* Without elements there may be any number of arrays of nothing. */
    int64_t count = output->width > 0 ? output->shape[depth] : 0;
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        if (i > 0)
            rc = calm_bytes_append(text, ",", 1);
        if (rc == 0)
            rc = put_array(reply, output, depth + 1, text, result);
    }
    return rc < 0 ? rc : calm_bytes_append(text, "]", 1);
}

static int put_rows(const struct calm__reply *reply, struct output *output,
    size_t rows, calm_bytes *text, struct calm__api_result *results)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rows; i++) {
        size_t start = text->len;
        results[i] = (struct calm__api_result){.json = true};
        rc = output->width == 1
                 ? put_element(
                       reply, output, /* quoted= */ false, text, &results[i])
                 : put_array(reply, output, 1, text, &results[i]);
        results[i].start = start;
        results[i].len = text->len - start;
    }
    return rc;
}

/* ---- the answer ---------------------------------------------------------- */

/* What ties an answer to its request beside the connection; a server that
 * does not send it back is believed. */
static int check_id(const calm_json_value *root, uint64_t id)
{
    char wanted[32];
    const calm_json_value *value;
    snprintf(wanted, sizeof wanted, "b%" PRIu64, id);
    int rc = calm__reply_member(root, "id", &value);
    if (rc < 0)
        return rc;
    enum calm_json_kind kind = calm_json_kind_of(value);
    if (kind == CALM_JSON_MISSING || kind == CALM_JSON_NULL)
        return 0;
    size_t len;
    const char *text = calm_json_text(value, &len);
    if (!text || (len > 0 && strcmp(text, wanted) != 0))
        return calm_fail(CALM_EFORMAT, "it is to another request");
    return 0;
}

/* Checks all outputs, and keeps the one that is wanted. */
static int find_output(const struct calm__api *api, const calm_json_value *root,
    size_t rows, const char *bytes, const char *end, struct output *ret_output)
{
    const calm_json_value *list;
    const char *wanted = api->opts.result_path;
    size_t found = 0;
    int rc = calm__reply_member(root, "outputs", &list);
    if (rc < 0)
        return rc;
    if (calm_json_kind_of(list) != CALM_JSON_ARRAY)
        return calm_fail(CALM_EFORMAT, "there are no 'outputs' in it");
    for (const calm_json_value *each = calm_json_first(list); each;
         each = calm_json_next(each)) {
        const char *name = calm_json_text(calm_json_get(each, "name"), NULL);
        struct output output;
        if (!name)
            return calm_fail(CALM_EFORMAT, "an output has no name");
        rc = read_output(each, rows, name, &bytes, end, &output);
        if (rc < 0)
            return rc;
        bool match = wanted ? strcmp(name, wanted) == 0 : found == 0;
        if (match)
            *ret_output = output;
        found += match;
    }
    if (bytes != end)
        return calm_fail(CALM_EFORMAT, "there are %zu bytes too many in it",
            (size_t)(end - bytes));
    if (found != 1)
        return calm_fail(CALM_EFORMAT, "the output '%s' is %s",
            wanted ? wanted : "", found ? "there twice" : "not there");
    return 0;
}

int calm__v2_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *usage)
{
    struct calm__reply reply;
    struct output output = {0};
    size_t json_len = answer->json_len ? answer->json_len : answer->len;
    if (json_len > answer->len)
        return calm_fail(CALM_EFORMAT,
            "its JSON has %zu bytes, and it only %zu", json_len, answer->len);
    int rc = calm__reply_open(&reply, answer->body, json_len, false);
    if (rc < 0)
        return rc;
    const calm_json_value *root = calm_json_root(reply.doc);
    rc = check_id(root, answer->id);
    if (rc == 0)
        rc = find_output(api, root, count, answer->body + json_len,
            answer->body + answer->len, &output);
    if (rc == 0)
        rc = put_rows(&reply, &output, count, text, results);
    calm__reply_close(&reply);
    return rc;
}
