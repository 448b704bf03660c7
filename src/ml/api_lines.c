/* api_lines.c - the lines of the Batch format
 *
 *     {"custom_id": "r-17", "method": "POST", "url": "/v1/embeddings",
 *      "body": {...}}
 *     {"id": "batch_req_..", "custom_id": "r-17", "response": {"status_code":
 *      200, "request_id": "..", "body": {...}}, "error": null}
 *
 * Each line is a request of its own, and its body goes out as it stands. A
 * sample is the line's URL, a NUL, and the body.
 */
#include "ml/api_inside.h"

#include "base/error.h"
#include "base/fault.h"
#include "io/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const members[] = {"custom_id", "method", "url", "body"};

/* ---- URLs ---------------------------------------------------------------- */

/* Those that everybody knows; the longer of two that end alike first. */
static const char *const endpoints[] = {"/chat/completions", "/completions",
    "/embeddings", "/responses", "/moderations"};

enum { ENDPOINTS = sizeof endpoints / sizeof *endpoints };

static bool is_plain(char c)
{
    return (c && strchr("-._~", c)) || (c >= '0' && c <= '9') ||
           ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Letters, digits and -._~ between single slashes, and no way up: a line may
 * choose an endpoint of the server, and nothing else. */
static bool is_plain_path(const char *text, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? text[i] : '/';
        if (c == '/') {
            size_t size = i - start;
            bool dots = size > 0 && size <= 2 && text[start] == '.' &&
                        text[i - 1] == '.';
            if (dots || (size == 0 && i > 0))
                return false;
            start = i + 1;
        } else if (!is_plain(c)) {
            return false;
        }
    }
    return len > 0;
}

static bool begins(const char *text, size_t len, const char *with)
{
    size_t size = strlen(with);
    return len >= size && memcmp(text, with, size) == 0;
}

/* What is in /v1 passes, known or not; without it the known ones do. */
static bool is_known(const char *url, size_t len)
{
    bool slash = len > 0 && *url == '/';
    if (!is_plain_path(url, len))
        return false;
    if (begins(url + slash, len - slash, "v1/"))
        return len - slash > strlen("v1/");
    for (size_t i = 0; i < ENDPOINTS; i++)
        if (len - slash == strlen(endpoints[i]) - 1 &&
            begins(url + slash, len - slash, endpoints[i] + 1))
            return true;
    return false;
}

/* The base without an endpoint, and /v1 only once. */
static int join_url(const char *base, const char *url, calm_bytes *out)
{
    struct calm__url parts = calm__url_split(base);
    size_t len = parts.query;
    while (len > parts.path && base[len - 1] == '/')
        len--;
    for (size_t i = 0; i < ENDPOINTS; i++)
        if (calm__url_ends(base, endpoints[i])) {
            len -= strlen(endpoints[i]);
            break;
        }
    url += *url == '/';
    bool has_version =
        len - parts.path >= 3 && memcmp(base + len - 3, "/v1", 3) == 0;
    if (has_version && strncmp(url, "v1/", 3) == 0)
        url += 3;
    int rc = calm_bytes_append(out, base, len);
    if (rc == 0)
        rc = calm_bytes_append(out, "/", 1);
    if (rc == 0)
        rc = calm_bytes_append_text(out, url);
    return rc < 0 ? rc : calm_bytes_append_text(out, base + parts.query);
}

/* ---- opening ------------------------------------------------------------- */

static int lines_open(struct calm__api *api)
{
    api->rows_max = 1;
    if (api->opts.result_path)
        return calm_fail(-EINVAL,
            "lines of the Batch format are answered whole, without a result "
            "path");
    return 0;
}

static int lines_choose(
    struct calm__api *api, const struct calm__api_table *table)
{
    for (size_t i = 0; i < CALM__LINE_CELLS; i++) {
        if (!calm__api_table_has(table, members[i]))
            return calm_fail(-EINVAL,
                "the input is not in the Batch format: its first row has no "
                "'%s'\n"
                "hint: rows of other columns need a --template",
                members[i]);
        int rc = calm__api_add_column(api, members[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

bool calm__api_is_line(const char *text, size_t len)
{
    calm_json_doc *doc;
    struct calm__error *kept = calm__error_take();
    bool is = false;
    if (calm_json_parse(text, len, NULL, &doc) == 0) {
        const calm_json_value *root = calm_json_root(doc);
        is = calm_json_get(root, "custom_id") &&
             (calm_json_get(root, "url") || calm_json_get(root, "body"));
        calm_json_free(doc);
    }
    calm__error_set(kept);
    return is;
}

/* ---- rows ---------------------------------------------------------------- */

/* What is wrong with the members of a line; NULL when nothing is. */
static const char *problem_of(
    const struct calm__cell *cells, const char **ret_member)
{
    for (size_t i = 0; i < CALM__LINE_CELLS; i++) {
        const struct calm__cell *cell = &cells[i];
        *ret_member = members[i];
        if (cell->absent)
            return "not there";
        if (i != CALM__LINE_BODY && cell->json)
            return "not a string";
        if (i == CALM__LINE_BODY &&
            (!cell->json || cell->len == 0 || *cell->text != '{'))
            return "not an object";
    }
    return NULL;
}

static int lines_check(
    const struct calm__api *api, const struct calm__cell *cells, uint64_t line)
{
    const char *member, *problem = problem_of(cells, &member);
    return problem ? calm_fail(CALM_EFORMAT, "line %" PRIu64 ": '%s' is %s",
                         line, member, problem)
                   : 0;
}

/* A stream would be another format. Of a name that is there twice servers may
 * take either. */
static int check_stream(const struct calm__cell *body)
{
    calm_json_doc *doc;
    int rc = calm_json_parse(body->text, body->len,
        &(calm_json_opts){.size_max = CALM__JSON_MOST}, &doc);
    if (rc < 0)
        return rc;
    for (const calm_json_value *each = calm_json_first(calm_json_root(doc));
         each; each = calm_json_next(each))
        if (strcmp(calm_json_name(each), "stream") == 0 && calm_json_true(each))
            rc = calm_fail(CALM_EFORMAT,
                "the body asks for a stream, which the Batch format has not");
    calm_json_free(doc);
    return rc;
}

static int lines_row(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    const struct calm__cell *method = &cells[CALM__LINE_METHOD];
    const struct calm__cell *url = &cells[CALM__LINE_URL];
    const struct calm__cell *body = &cells[CALM__LINE_BODY];
    const char *member, *problem = problem_of(cells, &member);
    char shown[84];
    if (problem)
        return calm_fail(CALM_EFORMAT, "'%s' is %s", member, problem);
    if (method->len != 4 || memcmp(method->text, "POST", 4) != 0) {
        calm__api_printable(method->text, method->len, shown, sizeof shown);
        return calm_fail(CALM_EFORMAT, "the method '%s' is not POST", shown);
    }
    if (!is_known(url->text, url->len)) {
        calm__api_printable(url->text, url->len, shown, sizeof shown);
        return calm_fail(CALM_EFORMAT, "the url '%s' is unknown", shown);
    }
    int rc = check_stream(body);
    if (rc == 0)
        rc = calm_bytes_append(out, url->text, url->len);
    if (rc == 0)
        rc = calm_bytes_append(out, "", 1);
    return rc < 0 ? rc : calm_bytes_append(out, body->text, body->len);
}

static int lines_request(const struct calm__api *api, const char *data,
    const struct calm__api_span *spans, size_t count, uint64_t id,
    struct calm__api_request *request)
{
    const char *url = data + spans[0].start;
    size_t len = strlen(url) + 1;
    int rc = join_url(api->opts.url, url, &request->url);
    return rc < 0 ? rc
                  : calm_bytes_append(
                        &request->body, url + len, spans[0].len - len);
}

/* ---- answers ------------------------------------------------------------- */

/* Of embeddings each must be there once, in any order. */
static int check_embeddings(const calm_json_value *root)
{
    const calm_json_value *data = calm_json_get(root, "data");
    const calm_json_value *first = calm_json_first(data);
    if (calm_json_kind_of(data) != CALM_JSON_ARRAY ||
        !calm_json_get(first, "embedding"))
        return 0;
    size_t count = calm_json_count(data), row = 0;
    bool *seen = calloc(count, sizeof *seen);
    if (!seen)
        return calm_fail(-ENOMEM, "no memory for an answer");
    int rc = 0;
    for (const calm_json_value *each = first; rc == 0 && each;
         each = calm_json_next(each)) {
        rc = calm__reply_index(each, count, &row);
        if (rc == 0 && seen[row])
            rc = calm_fail(CALM_EFORMAT, "the index %zu is there twice", row);
        seen[row] = true;
    }
    free(seen);
    return rc;
}

static int lines_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *usage)
{
    struct calm__reply reply;
    int rc = calm__reply_open(&reply, answer->body, answer->len, false);
    if (rc < 0)
        return rc;
    const calm_json_value *root = calm_json_root(reply.doc);
    rc = check_embeddings(root);
    if (rc == 0) {
        calm__reply_usage(root, usage);
        rc = calm__reply_put(&reply, root, text, &results[0]);
    }
    /* A string, too, goes out as it came. */
    if (rc == 0 && calm_json_kind_of(root) == CALM_JSON_STRING) {
        size_t len;
        const char *raw = calm_json_raw(root, &len);
        text->len = results[0].start;
        rc = calm_bytes_append(text, raw, len);
        results[0].len = len;
        results[0].json = true;
    }
    calm__reply_close(&reply);
    return rc;
}

const struct calm__api_format calm__api_lines = {
    .open = lines_open,
    .choose = lines_choose,
    .check = lines_check,
    .row = lines_row,
    .request = lines_request,
    .answer = lines_answer,
};

/* ---- output -------------------------------------------------------------- */

/* A step that no two numbers share (splitmix64's), so that the ids of rows are
 * as different as the rows. */
static uint64_t mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

static void put_body(
    calm_json_writer *json, const char *body, size_t len, calm_bytes *out)
{
    if (len >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0) {
        body += 3;
        len -= 3;
    }
    struct calm__error *kept = calm__error_take();
    int rc = calm_json_check(
        body, len, &(calm_json_opts){.size_max = CALM__JSON_MOST});
    calm__error_set(kept);
    if (rc == -ENOMEM)
        json->error = rc;
    if (rc < 0) {
        calm_json_put_bytes(json, body, len);
        return;
    }
    size_t start = out->len;
    calm_json_put_raw(json, body, len);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
}

static void put_response(calm_json_writer *json,
    const struct calm__api_outcome *outcome, calm_bytes *out)
{
    calm_json_begin_object(json);
    calm_json_put_key(json, "status_code");
    calm_json_put_int(json, outcome->status);
    calm_json_put_key(json, "request_id");
    calm_json_put_text(json, outcome->request_id ? outcome->request_id : "");
    calm_json_put_key(json, "body");
    put_body(json, outcome->body ? outcome->body : "", outcome->len, out);
    calm_json_end_object(json);
}

static void put_error(
    calm_json_writer *json, const struct calm__api_outcome *outcome)
{
    calm_json_begin_object(json);
    calm_json_put_key(json, "code");
    calm_json_put_text(json, outcome->code ? outcome->code : "failed");
    calm_json_put_key(json, "message");
    calm_json_put_text(json, outcome->message ? outcome->message : "");
    calm_json_end_object(json);
}

int calm__api_outcome_put(
    const struct calm__api_outcome *outcome, calm_bytes *out)
{
    size_t before = out->len;
    calm_json_writer json = {.out = out};
    const struct calm__cell *custom_id = outcome->custom_id;
    char id[40];
    snprintf(id, sizeof id, "batch_req_%016" PRIx64,
        mix(mix(outcome->run) + outcome->row));
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "id");
    calm_json_put_text(&json, id);
    calm_json_put_key(&json, "custom_id");
    if (!custom_id || custom_id->absent)
        calm_json_put_null(&json);
    else if (custom_id->json)
        calm_json_put_raw(&json, custom_id->text, custom_id->len);
    else
        calm_json_put_bytes(&json, custom_id->text, custom_id->len);
    calm_json_put_key(&json, "response");
    if (outcome->status > 0)
        put_response(&json, outcome, out);
    else
        calm_json_put_null(&json);
    calm_json_put_key(&json, "error");
    if (outcome->code || outcome->message)
        put_error(&json, outcome);
    else
        calm_json_put_null(&json);
    calm_json_end_object(&json);
    int rc = calm_json_end_line(&json);
    if (rc < 0)
        out->len = before;
    return rc;
}

/* ---- repeated ids -------------------------------------------------------- */

enum { IDS_MOST = 1 << 21 }; /* places, half of them in use: 16 MiB */

static bool grow(struct calm__api_ids *ids)
{
    size_t room = ids->room ? ids->room * 2 : 1024;
    if (room > IDS_MOST)
        return false;
    uint64_t *hashes = calm__alloc(room * sizeof *hashes);
    if (!hashes)
        return false;
    memset(hashes, 0, room * sizeof *hashes);
    for (size_t i = 0; i < ids->room; i++) {
        size_t at = ids->hashes[i] & (room - 1);
        while (ids->hashes[i] && hashes[at])
            at = (at + 1) & (room - 1);
        if (ids->hashes[i])
            hashes[at] = ids->hashes[i];
    }
    free(ids->hashes);
    ids->hashes = hashes;
    ids->room = room;
    return true;
}

void calm__api_ids_add(
    struct calm__api_ids *ids, const char *custom_id, size_t len, uint64_t line)
{
    uint64_t hash = mix(len);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, custom_id + i, len - i < 8 ? len - i : 8);
        hash = mix(hash ^ word);
    }
    hash += hash == 0; /* an empty place */
    bool room = ids->count < ids->room / 2 || grow(ids);
    if (ids->room == 0)
        return;
    size_t at = hash & (ids->room - 1);
    while (ids->hashes[at] && ids->hashes[at] != hash)
        at = (at + 1) & (ids->room - 1);
    if (ids->hashes[at]) {
        if (ids->repeated++ == 0)
            ids->first_line = line;
    } else if (room) {
        ids->hashes[at] = hash;
        ids->count++;
    }
}

void calm__api_ids_clear(struct calm__api_ids *ids)
{
    free(ids->hashes);
    *ids = (struct calm__api_ids){0};
}
