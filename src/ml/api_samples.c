/* api_samples.c - {"samples": [...]}, and {"instances": [...]} of version 1
 *
 * Both have a list of rows, each an object of its columns or, with features,
 * an array of numbers; what differs are the names. The keys of the objects
 * are made once, with the comma in front and the colon behind.
 */
#include "ml/api_inside.h"

#include "base/buffer.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct samples {
    calm_bytes keys; /* {"age":,"name": */
    size_t *ends;    /* of each in them */
    struct calm__path outputs;
};

static bool is_v1(const struct calm__api *api)
{
    return api->opts.kind == CALM__API_V1;
}

/* The URL of a model is completed; one with a verb already is taken as it
 * is. */
static int complete_url(struct calm__api *api)
{
    const char *url = api->opts.url;
    const char *model = calm__url_find(url, "/v1/models/");
    struct calm__url parts = calm__url_split(url);
    if (!is_v1(api) || !model ||
        memchr(model, ':', parts.query - (size_t)(model - url)))
        return 0;
    calm_bytes whole = {0};
    size_t len = parts.query;
    while (url[len - 1] == '/')
        len--;
    int rc = calm_bytes_printf(
        &whole, "%.*s:predict%s", (int)len, url, url + parts.query);
    if (rc < 0)
        calm_bytes_clear(&whole);
    api->url = whole.data;
    return rc;
}

static int samples_open(struct calm__api *api)
{
    api->own = calloc(1, sizeof(struct samples));
    if (!api->own)
        return calm_fail(-ENOMEM, "no memory for an API");
    struct samples *samples = api->own;
    int rc = complete_url(api);
    const char *path = api->opts.result_path;
    if (rc == 0)
        rc = calm__path_parse("outputs", &samples->outputs);
    if (rc == 0)
        rc = calm__path_parse(path ? path : "predictions", &api->path);
    return rc;
}

static void samples_close(struct calm__api *api)
{
    struct samples *samples = api->own;
    if (!samples)
        return;
    calm_bytes_clear(&samples->keys);
    calm__path_clear(&samples->outputs);
    free(samples->ends);
    free(samples);
}

/* An id is nothing that a model has been trained on, but servers that take
 * samples are made for theirs, and may want it for their logs. */
static int samples_choose(
    struct calm__api *api, const struct calm__api_table *table)
{
    struct samples *samples = api->own;
    int rc = calm__api_choose_columns(api, table, /* with_id= */ !is_v1(api));
    if (rc < 0)
        return rc;
    samples->ends = calloc(api->count + 1, sizeof *samples->ends);
    if (!samples->ends)
        return calm_fail(-ENOMEM, "no memory for columns");
    for (size_t i = 0; rc == 0 && i < api->count; i++) {
        calm_json_writer json = {.out = &samples->keys};
        rc = calm_bytes_append_text(&samples->keys, i == 0 ? "{" : ",");
        if (rc == 0)
            rc = calm_json_put_text(&json, api->names[i]);
        if (rc == 0)
            rc = calm_bytes_append_text(&samples->keys, ":");
        samples->ends[i] = samples->keys.len;
    }
    return rc;
}

static int put_byte(calm_bytes *out, char byte)
{
    int rc = calm__bytes_room(out, 1);
    if (rc == 0)
        out->data[out->len++] = byte;
    return rc;
}

static int row_of_numbers(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    int rc = put_byte(out, '[');
    for (size_t i = 0; rc == 0 && i < api->count; i++) {
        if (i > 0)
            rc = put_byte(out, ',');
        if (rc == 0)
            rc = calm__api_put_number(api, i, &cells[i], out);
    }
    return rc < 0 ? rc : put_byte(out, ']');
}

static int row_of_members(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    const struct samples *samples = api->own;
    size_t start = 0;
    int rc = api->count == 0 ? put_byte(out, '{') : 0;
    for (size_t i = 0; rc == 0 && i < api->count; i++) {
        size_t len = samples->ends[i] - start;
        rc = calm__bytes_room(out, len);
        if (rc < 0)
            break;
        memcpy(out->data + out->len, samples->keys.data + start, len);
        out->len += len;
        start = samples->ends[i];
        rc = calm__api_put_cell(api, &cells[i], out);
    }
    return rc < 0 ? rc : put_byte(out, '}');
}

static int samples_row(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    return (api->opts.features ? row_of_numbers : row_of_members)(
        api, cells, out);
}

static int samples_request(const struct calm__api *api, const char *data,
    const struct calm__api_span *spans, size_t count, uint64_t id,
    struct calm__api_request *request)
{
    return calm__api_join(is_v1(api) ? "{\"instances\":[" : "{\"samples\":[",
        data, spans, count, "]}", &request->body);
}

/* Version 1 answers with "outputs" what was asked with "inputs", and some
 * servers do so anyway; but never with both. */
static int find_path(const struct calm__api *api, const calm_json_value *root,
    const struct calm__path **ret_path)
{
    const struct samples *samples = api->own;
    const calm_json_value *predictions, *outputs = NULL;
    *ret_path = &api->path;
    if (!is_v1(api) || api->opts.result_path)
        return 0;
    int rc = calm__reply_member(root, "predictions", &predictions);
    if (rc == 0)
        rc = calm__reply_member(root, "outputs", &outputs);
    if (rc < 0 || !outputs)
        return rc;
    if (predictions)
        return calm_fail(
            CALM_EFORMAT, "there are both 'predictions' and 'outputs' in it");
    *ret_path = &samples->outputs;
    return 0;
}

static int samples_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *usage)
{
    struct calm__reply reply;
    const struct calm__path *path;
    int rc = calm__reply_open(&reply, answer->body, answer->len, is_v1(api));
    if (rc < 0)
        return rc;
    const calm_json_value *root = calm_json_root(reply.doc);
    rc = find_path(api, root, &path);
    if (rc == 0)
        rc = calm__reply_rows(&reply, path, root, count, false, text, results);
    if (rc == 0)
        calm__reply_usage(root, usage);
    calm__reply_close(&reply);
    return rc;
}

const struct calm__api_format calm__api_samples = {
    .open = samples_open,
    .close = samples_close,
    .choose = samples_choose,
    .row = samples_row,
    .request = samples_request,
    .answer = samples_answer,
};
