/* remote.c - a model behind an API: what it speaks, and what it wants
 *
 * What a URL speaks is known for certain only when the columns of the input
 * are, so the format is opened by choose(), which also asks the server for
 * what it tells of itself. Until then nothing is created, and whatever is
 * wrong refuses the run.
 */
#include "ml/remote.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/random.h"
#include "io/http.h"

#include <calm/file.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BATCH_ROWS = 32,
    AT_ONCE_MOST = 128, /* as far as an automatic limit goes */
    WAITING = 4,        /* batches for each place: most of them wait for a
                         * retry */
    REORDER = 32,       /* batches for each place that may be done before the
                         * first of them is */
};

static struct calm__remote *remote_of(struct calm__predictor *predictor)
{
    return (struct calm__remote *)predictor;
}

/* ---- what the server tells ---- */

/* GETs URL. A server need not tell anything; but one that is not there, or
 * that lets nobody in, is known before anything has been created. */
static int server_ask(
    struct calm__remote *remote, const char *url, struct calm__sending *sending)
{
    *sending = (struct calm__sending){.method = "GET",
        .url = url,
        .headers = remote->headers,
        .header_count = remote->header_count,
        .uncounted = true};
    return calm__sender_send(&remote->sender, sending);
}

static int metadata_ask(struct calm__remote *remote, size_t index)
{
    struct calm__sending sending;
    int rc = server_ask(
        remote, calm__api_metadata_url(remote->api, index), &sending);
    if (rc == 0 && sending.fate == CALM__ANSWERED) {
        const calm_bytes *body = &sending.response.body;
        rc = calm__api_learn(remote->api, index, body->data, body->len);
        if (rc == CALM_EFORMAT || rc == CALM_ELIMIT)
            rc = 0;
    }
    calm__sending_clear(&sending);
    return rc;
}

static int metadata_learn(struct calm__remote *remote)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && calm__api_metadata_url(remote->api, i); i++)
        rc = metadata_ask(remote, i);
    return rc;
}

/* Where the path would begin. */
static const char *path_of(const char *url)
{
    const char *host = strstr(url, "//");
    return host ? host + 2 + strcspn(host + 2, "/?#") : url;
}

static bool speaks_v2(const calm_bytes *body)
{
    calm_json_doc *doc;
    if (calm_json_parse(body->data, body->len, NULL, &doc) < 0)
        return false;
    const calm_json_value *root = calm_json_root(doc);
    bool speaks =
        calm_json_text(calm_json_get(root, "name"), NULL) &&
        calm_json_kind_of(calm_json_get(root, "extensions")) == CALM_JSON_ARRAY;
    calm_json_free(doc);
    return speaks;
}

/* A URL that is nothing but a server takes samples, as far as anybody knows;
 * unless the server says that it speaks v2, and then a model is missing. */
static int server_only(struct calm__remote *remote)
{
    const char *url = remote->base.opts->remote.url, *path = path_of(url);
    char shown[256];
    if (*path != '\0' && strcmp(path, "/") != 0)
        return 0;
    calm_bytes root = {0};
    struct calm__sending sending = {0};
    int rc = calm_bytes_append(&root, url, (size_t)(path - url));
    if (rc == 0)
        rc = calm_bytes_append_text(&root, "/v2");
    if (rc == 0)
        rc = server_ask(remote, root.data, &sending);
    if (rc == 0 && sending.fate == CALM__ANSWERED &&
        speaks_v2(&sending.response.body)) {
        calm_http_url_show(root.data, shown, sizeof shown);
        rc = calm_fail(-EINVAL,
            "the URL names no model, and '%s' wants one\n"
            "hint: --url %s/models/NAME; --api samples sends rows as they are",
            shown, shown);
    }
    calm__sending_clear(&sending);
    calm_bytes_clear(&root);
    return rc;
}

/* ---- the format ---- */

/* Lines of the Batch format are known by their members. */
static bool has_lines(const struct calm__dataset *dataset)
{
    static const char *const members[] = {"custom_id", "method", "url", "body"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!calm__dataset_has(dataset, members[i]))
            return false;
    return calm__dataset_is_json(dataset);
}

static enum calm__api_kind kind_of(
    const struct calm__remote *remote, const struct calm__dataset *dataset)
{
    const calm_remote_opts *opts = &remote->base.opts->remote;
    if (opts->template_file)
        return CALM__API_TEMPLATE;
    if (opts->api != CALM_API_GUESS)
        return (enum calm__api_kind)(opts->api - CALM_API_SAMPLES);
    if (has_lines(dataset))
        return CALM__API_OPENAI;
    return calm__api_guess(opts->url);
}

_Static_assert(CALM_API_OPENAI - CALM_API_SAMPLES == CALM__API_OPENAI &&
                   CALM_API_V1 - CALM_API_SAMPLES == CALM__API_V1,
    "the public names are in the order of the private ones");

static int format_open(
    struct calm__remote *remote, const struct calm__dataset *dataset)
{
    const calm_predict_opts *opts = remote->base.opts;
    struct calm__api_opts api = {.kind = kind_of(remote, dataset),
        .url = opts->remote.url,
        .features = opts->features,
        .missing = opts->missing,
        .json_rows = calm__dataset_is_json(dataset),
        .template = remote->template.data,
        .template_len = remote->template.len,
        .result_path = opts->remote.result_path};
    bool lines = has_lines(dataset);
    bool empty = calm__dataset_columns(dataset) == 0;
    if (api.kind == CALM__API_OPENAI && !lines && !empty)
        return calm_fail(-EINVAL,
            "'%s' has no lines of the Batch format, which the URL wants\n"
            "hint: --template FILE makes requests of rows; --api samples "
            "sends them as they are",
            opts->input);
    remote->lines = api.kind == CALM__API_OPENAI;
    size_t len = strlen(opts->output);
    if (remote->lines && len > 4 &&
        strcasecmp(opts->output + len - 4, ".csv") == 0)
        return calm_fail(-EINVAL,
            "lines of the Batch format are answered with lines, which '%s' "
            "would not have\nhint: give it the ending .jsonl",
            opts->output);
    int rc = 0;
    if (api.kind == CALM__API_SAMPLES && !empty &&
        opts->remote.api == CALM_API_GUESS)
        rc = server_only(remote);
    return rc < 0 ? rc : calm__api_open(&api, &remote->api);
}

/* ---- columns ---- */

static int columns_choose(struct calm__remote *remote,
    const struct calm__dataset *dataset, const char *id)
{
    static const char *const columns[] = {"prediction"};
    size_t count = calm__dataset_columns(dataset);
    const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return calm_fail(-ENOMEM, "no memory for columns");
    for (size_t i = 0; i < count; i++)
        names[i] = calm__dataset_column(dataset, i);
    struct calm__api_table table = {.names = names,
        .count = count,
        .id = id,
        .truth = remote->base.opts->truth};
    remote->names = names;
    int rc = calm__api_choose(remote->api, &table);
    remote->base.cells = calm__api_column_names(remote->api);
    remote->base.cell_count = count > 0 ? calm__api_columns(remote->api) : 0;
    remote->base.text = remote->base.cell_count == 0; /* or nothing is read */
    remote->base.columns = columns;
    remote->base.column_count = 1;
    remote->base.lines = remote->lines;
    return rc;
}

static void sizes_choose(struct calm__remote *remote)
{
    const calm_remote_opts *opts = &remote->base.opts->remote;
    size_t most = calm__api_rows_max(remote->api);
    size_t places = opts->at_once ? opts->at_once : AT_ONCE_MOST;
    remote->base.batch_size = most < BATCH_ROWS ? most : BATCH_ROWS;
    remote->base.concurrency = WAITING * places;
    remote->base.in_flight = REORDER * places;
    calm__remote_look(remote);
}

static int remote_choose(struct calm__predictor *predictor,
    const struct calm__dataset *dataset, const char *id)
{
    struct calm__remote *remote = remote_of(predictor);
    int rc = format_open(remote, dataset);
    if (rc == 0 && calm__dataset_columns(dataset) > 0)
        rc = metadata_learn(remote);
    if (rc == 0)
        rc = columns_choose(remote, dataset, id);
    if (rc == 0 && remote->lines)
        rc = calm__remote_check(remote);
    if (rc == 0)
        sizes_choose(remote);
    return rc;
}

/* ---- open, close ---- */

static void remote_stop(struct calm__predictor *predictor)
{
    calm__sender_stop(&remote_of(predictor)->sender, -ECANCELED);
}

static void remote_close(struct calm__predictor *predictor)
{
    struct calm__remote *remote = remote_of(predictor);
    calm__remote_slots_free(remote);
    calm__api_close(remote->api);
    calm_http_close(remote->sender.http);
    calm_bytes_clear(&remote->template);
    if (remote->authorization.data)
        explicit_bzero(
            remote->authorization.data, remote->authorization.capacity);
    calm_bytes_clear(&remote->authorization);
    free(remote->headers);
    free(remote->names);
    free(remote);
}

/* Without query and user, where secrets are; a version of the model or its
 * name is in the path. */
static void remote_identity(
    struct calm__predictor *predictor, struct calm__identity *identity)
{
    const struct calm__remote *remote = (const struct calm__remote *)predictor;
    const calm_remote_opts *opts = &predictor->opts->remote;
    const enum calm__identity_kind kind = CALM__IDENTITY_OPTION;
    const char *rest = strstr(opts->url, "//");
    rest = rest ? rest + 2 : opts->url;
    size_t len = strcspn(rest, "?#"), host = strcspn(rest, "/?#");
    const char *user = memrchr(rest, '@', host);
    if (user) {
        len -= (size_t)(user + 1 - rest);
        rest = user + 1;
    }
    calm__identity_add(identity, CALM__IDENTITY_MODEL, "URL", rest, len);
    calm__identity_number(identity, kind, "--api", opts->api);
    calm__identity_text(identity, kind, "--result-path", opts->result_path);
    calm__identity_add(identity, kind, "--template", remote->template.data,
        remote->template.len);
}

static const struct calm__predictor_methods remote_methods = {
    .close = remote_close,
    .choose = remote_choose,
    .batch_open = calm__remote_batch_open,
    .batch_close = calm__remote_batch_close,
    .prepare = calm__remote_prepare,
    .predict = calm__remote_predict,
    .compare = calm__remote_compare,
    .answer = calm__remote_answer,
    .line = calm__remote_line,
    .identity = remote_identity,
    .stop = remote_stop,
};

/* What no request could carry is told now, and not when rows are on their
 * way. */
static int request_check(const struct calm__remote *remote)
{
    const char *reason;
    struct calm__http_url url;
    if (calm__http_url_parse(remote->base.opts->remote.url, &url, &reason) < 0)
        return calm_fail(
            -EINVAL, "the URL of the model cannot be used: %s", reason);
    return calm__http_request_check(
        &(calm_http_request){.url = remote->base.opts->remote.url,
            .method = "POST",
            .headers = remote->headers,
            .header_count = remote->header_count});
}

static int headers_make(struct calm__remote *remote)
{
    const calm_remote_opts *opts = &remote->base.opts->remote;
    size_t count = opts->header_count;
    remote->headers = calloc(count + 1, sizeof *remote->headers);
    if (!remote->headers)
        return calm_fail(-ENOMEM, "no memory for headers");
    for (size_t i = 0; i < count; i++)
        remote->headers[i] = opts->headers[i];
    if (opts->key) {
        if (calm_bytes_append_text(&remote->authorization, "Bearer ") < 0 ||
            calm_bytes_append_text(&remote->authorization, opts->key) < 0)
            return calm_fail(-ENOMEM, "no memory for headers");
        remote->headers[count++] =
            (calm_http_header){"Authorization", remote->authorization.data};
    }
    remote->header_count = count;
    return 0;
}

static void on_wait(struct calm__sender *sender)
{
    calm__remote_look(
        (struct calm__remote *)((char *)sender -
                                offsetof(struct calm__remote, sender)));
}

static int sender_open(struct calm__remote *remote)
{
    const calm_remote_opts *opts = &remote->base.opts->remote;
    struct calm__sender *sender = &remote->sender;
    size_t places = opts->at_once ? opts->at_once : AT_ONCE_MOST;
    *sender = (struct calm__sender){.on_wait = on_wait,
        .retry.attempts = opts->attempts,
        .request_timeout = opts->timeout,
        .wait_most = opts->wait_most,
        .patience = opts->patience,
        .failures.most = opts->failures_most};
    calm__sender_init(sender, opts->at_once);
    if (opts->request_rate > 0)
        calm_rate_init(&sender->limit.requests, opts->request_rate, CALM_S,
            opts->request_rate > 10 ? opts->request_rate / 10 : 1);
    if (opts->token_rate > 0)
        calm_rate_init(
            &sender->limit.tokens, opts->token_rate, CALM_S, opts->token_rate);
    calm_http_opts http = {.per_host = places,
        .total = places,
        .silence = opts->timeout,
        .body_max = opts->answer_max,
        .ca_file = opts->ca_file,
        .unix_path = opts->unix_path};
    int rc = headers_make(remote);
    if (rc == 0)
        rc = request_check(remote);
    return rc < 0 ? rc : calm_http_open(&http, &sender->http);
}

int calm__predictor_remote_open(const calm_predict_opts *opts,
    calm_predict_state *state, struct calm__predictor **ret_predictor)
{
    struct calm__remote *remote = calm__alloc(sizeof *remote);
    if (!remote)
        return calm_fail(-ENOMEM, "no memory for an API");
    *remote = (struct calm__remote){.base = {.methods = &remote_methods,
                                        .opts = opts,
                                        .state = state,
                                        .where = CALM_ON_LOOP,
                                        .classes = true},
        .run = calm__random()};
    int rc = 0;
    if (opts->remote.template_file)
        rc = calm_file_read_all(opts->remote.template_file, &remote->template);
    if (rc == 0)
        rc = sender_open(remote);
    if (rc < 0) {
        struct calm__error *error = calm__error_take();
        remote_close(&remote->base);
        calm__error_set(error);
        return rc;
    }
    *ret_predictor = &remote->base;
    return 0;
}
