/* api.c - the formats of an API behind one set of calls
 *
 * What a format does stands in a table of functions. This file opens, chooses
 * columns and joins samples, which most of them do alike.
 */
#include "ml/api_inside.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------- */

static const struct calm__api_format *const formats[] = {
    [CALM__API_SAMPLES] = &calm__api_samples,
    [CALM__API_V2] = &calm__api_v2,
    [CALM__API_V1] = &calm__api_samples,
    [CALM__API_OPENAI] = &calm__api_lines,
    [CALM__API_TEMPLATE] = &calm__api_template,
};

const char *calm__api_kind_name(enum calm__api_kind kind)
{
    static const char *const names[] = {
        "samples", "v2", "v1", "openai", "template"};
    return kind <= CALM__API_TEMPLATE ? names[kind] : "unknown";
}

int calm__api_open(
    const struct calm__api_opts *opts, struct calm__api **ret_api)
{
    struct calm__api *api = calm__alloc(sizeof *api);
    if (!api)
        return calm_fail(-ENOMEM, "no memory for an API");
    *api = (struct calm__api){
        .opts = *opts, .format = formats[opts->kind], .rows_max = SIZE_MAX};
    int rc = api->format->open(api);
    if (rc == 0 && !api->url && !(api->url = strdup(opts->url)))
        rc = calm_fail(-ENOMEM, "no memory for a URL");
    if (rc < 0) {
        calm__api_close(api);
        return rc;
    }
    *ret_api = api;
    return 0;
}

void calm__api_close(struct calm__api *api)
{
    if (!api)
        return;
    if (api->format->close)
        api->format->close(api);
    calm__path_clear(&api->path);
    free(api->names);
    free(api->url);
    free(api);
}

enum calm__api_kind calm__api_kind_of(const struct calm__api *api)
{
    return api->opts.kind;
}

const char *calm__api_metadata_url(const struct calm__api *api, size_t index)
{
    return api->format->metadata_url ? api->format->metadata_url(api, index)
                                     : NULL;
}

int calm__api_learn(
    struct calm__api *api, size_t index, const char *body, size_t len)
{
    return api->format->learn ? api->format->learn(api, index, body, len) : 0;
}

/* ---- columns ------------------------------------------------------------- */

bool calm__api_table_has(const struct calm__api_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->names[i], name) == 0)
            return true;
    return false;
}

int calm__api_add_column(struct calm__api *api, const char *name)
{
    for (size_t i = 0; i < api->count; i++)
        if (strcmp(api->names[i], name) == 0)
            return (int)i;
    const char **names =
        calm__realloc(api->names, (api->count + 1) * sizeof *names);
    if (!names)
        return calm_fail(-ENOMEM, "no memory for columns");
    api->names = names;
    names[api->count] = name;
    return (int)api->count++;
}

static bool is_name(const char *name, const char *other)
{
    return other && strcmp(name, other) == 0;
}

int calm__api_choose_columns(
    struct calm__api *api, const struct calm__api_table *table, bool with_id)
{
    const char *const *features = api->opts.features;
    size_t most = table->count;
    if (features)
        for (most = 0; features[most];)
            most++;
    api->names = calloc(most ? most : 1, sizeof *api->names);
    if (!api->names)
        return calm_fail(-ENOMEM, "no memory for columns");
    for (size_t i = 0; i < most; i++) {
        const char *name = features ? features[i] : table->names[i];
        if (features && !calm__api_table_has(table, name))
            return calm_fail(-EINVAL, "there is no column '%s'", name);
        if (features && is_name(name, table->truth))
            return calm_fail(-EINVAL, "the truth '%s' is also a feature", name);
        bool left_out = is_name(name, table->truth) ||
                        (!with_id && is_name(name, table->id));
        if (features || !left_out)
            api->names[api->count++] = name;
    }
    return 0;
}

int calm__api_choose(struct calm__api *api, const struct calm__api_table *table)
{
    if (table->count == 0)
        return 0;
    return api->format->choose(api, table);
}

size_t calm__api_columns(const struct calm__api *api)
{
    return api->count;
}

const char *const *calm__api_column_names(const struct calm__api *api)
{
    return (const char *const *)api->names;
}

size_t calm__api_rows_max(const struct calm__api *api)
{
    return api->rows_max;
}

/* ---- requests ------------------------------------------------------------ */

int calm__api_check(
    const struct calm__api *api, const struct calm__cell *cells, uint64_t line)
{
    return api->format->check ? api->format->check(api, cells, line) : 0;
}

int calm__api_row(const struct calm__api *api, const struct calm__cell *cells,
    calm_bytes *out)
{
    size_t before = out->len;
    int rc = api->format->row(api, cells, out);
    if (rc < 0)
        out->len = before;
    if (out->data)
        out->data[out->len] = '\0';
    return rc;
}

int calm__api_join(const char *head, const char *data,
    const struct calm__api_span *spans, size_t count, const char *tail,
    calm_bytes *out)
{
    size_t head_len = strlen(head), tail_len = strlen(tail);
    size_t size = head_len + tail_len;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(size, spans[i].len + 1, &size))
            return calm_fail(-ENOMEM, "no memory for a request");
    int rc = calm_bytes_reserve(out, size);
    if (rc < 0)
        return rc;
    char *to = out->data + out->len;
    to = mempcpy(to, head, head_len);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *to++ = ',';
        to = mempcpy(to, data + spans[i].start, spans[i].len);
    }
    to = mempcpy(to, tail, tail_len);
    calm_bytes_advance(out, (size_t)(to - out->data) - out->len);
    return 0;
}

int calm__api_request(const struct calm__api *api, const char *data,
    const struct calm__api_span *spans, size_t count, uint64_t id,
    struct calm__api_request *request)
{
    calm_bytes_reset(&request->url);
    calm_bytes_reset(&request->body);
    request->json_len = 0;
    request->content_type = "application/json";
    request->wants_binary = false;
    int rc = api->format->request(api, data, spans, count, id, request);
    if (rc == 0 && request->url.len == 0)
        rc = calm_bytes_append_text(&request->url, api->url);
    return rc;
}

void calm__api_request_clear(struct calm__api_request *request)
{
    calm_bytes_clear(&request->url);
    calm_bytes_clear(&request->body);
    calm_bytes_clear(&request->scratch);
}

/* ---- answers ------------------------------------------------------------- */

int calm__api_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *ret_usage)
{
    struct calm__api_usage usage = {0};
    size_t before = text->len;
    int rc = api->format->answer(api, answer, count, text, results, &usage);
    if (rc < 0) {
        text->len = before;
        return calm_while(rc, "the answer");
    }
    if (ret_usage)
        *ret_usage = usage;
    return 0;
}
