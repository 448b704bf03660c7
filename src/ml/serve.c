/* serve.c - models as an inference server: opening, running, a request's way
 *
 *     server: a whole request -> may it? -> route -> read rows -> batcher
 *                                                                    |
 *     server: sends it <------- answer in the protocol's form <------+
 *
 * Each request has a task, on the loop. What computes for long leaves it: the
 * predictions, the reading of large bodies and the writing of large answers
 * are the CPU pool's.
 */
#include "ml/serve.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/pool.h>

#include <errno.h>
#include <math.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MUCH_JSON = 64 << 10,    /* bytes, some 100 us of parsing */
    NUMBERS_MOST = 32 << 20, /* of a request's matrix: 128 MiB */
    NAME_MOST = 128,
};

/* ---- matrices ---- */

int calm__matrix_make(struct calm__matrix *matrix, size_t rows, size_t columns)
{
    size_t numbers;
    if (__builtin_mul_overflow(rows, columns, &numbers) ||
        numbers > NUMBERS_MOST)
        return calm_fail(CALM_ELIMIT,
            "%zu rows of %zu numbers are more than a request may have", rows,
            columns);
    calm__matrix_clear(matrix);
    matrix->values = calm__alloc((numbers + 1) * sizeof *matrix->values);
    if (!matrix->values)
        return calm_fail(-ENOMEM, "no memory for %zu rows", rows);
    for (size_t i = 0; i < numbers; i++)
        matrix->values[i] = NAN;
    matrix->rows = rows;
    matrix->columns = columns;
    return 0;
}

void calm__matrix_clear(struct calm__matrix *matrix)
{
    free(matrix->values);
    *matrix = (struct calm__matrix){0};
}

/* ---- answers ---- */

int calm__exchange_json(
    struct calm__exchange *exchange, int status, calm_json_writer *json)
{
    int rc = calm_json_end_line(json);
    if (rc == 0)
        rc = calm_respond_bytes(
            exchange->request, status, "application/json", json->out);
    if (rc == 0)
        exchange->status = status;
    calm_bytes_clear(json->out);
    return rc;
}

static void openai_error_put(
    calm_json_writer *json, const char *code, const char *text)
{
    calm_json_begin_object(json);
    calm_json_put_key(json, "message");
    calm_json_put_text(json, text);
    calm_json_put_key(json, "type");
    calm_json_put_text(json, code ? code : "invalid_request_error");
    calm_json_put_key(json, "param");
    calm_json_put_null(json);
    calm_json_put_key(json, "code");
    if (code)
        calm_json_put_text(json, code);
    else
        calm_json_put_null(json);
    calm_json_end_object(json);
}

int calm__exchange_refuse(
    struct calm__exchange *exchange, int status, const char *format, ...)
{
    char text[CALM_MESSAGE_MAX];
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "error");
    if (exchange->code || exchange->endpoint == CALM__SERVE_EMBEDDINGS)
        openai_error_put(&json, exchange->code, text);
    else
        calm_json_put_text(&json, text);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, status, &json);
}

static int retry_later(struct calm__exchange *exchange, const char *text)
{
    int rc = calm_respond_header(exchange->request, "Retry-After", "1");
    return rc < 0 ? rc : calm__exchange_refuse(exchange, 503, "%s", text);
}

int calm__exchange_failed(struct calm__exchange *exchange, int rc)
{
    switch (rc) {
    case CALM_EFORMAT:
    case CALM_EMODEL: /* of these rows; the model as such has been tried */
        return calm__exchange_refuse(exchange, 400, "%s", calm_message(rc));
    case CALM_ELIMIT:
        return calm__exchange_refuse(exchange, 413, "%s", calm_message(rc));
    case -EBUSY:
    case -ENOMEM:
        return retry_later(exchange, calm_message(rc));
    case -ECANCELED:
        return retry_later(exchange, "the server ends");
    default:
        return calm__exchange_refuse(exchange, 500, "%s", calm_message(rc));
    }
}

/* ---- what endpoints share ---- */

int calm__json_of_request(const struct calm__exchange *exchange,
    const char *text, size_t len, calm_json_doc **ret_doc)
{
    calm_json_opts opts = {.size_max = (size_t)1 << 30};
    int rc = calm_json_parse(text, len, &opts, ret_doc);
    if (rc == CALM_ELIMIT) /* of its depth: no smaller body would help */
        return calm_fail(CALM_EFORMAT, "%s", calm_message(rc));
    return rc;
}

int calm__serve_compute(size_t bytes, calm_fn *fn, void *arg)
{
    return bytes > MUCH_JSON ? calm_cpu(fn, arg) : fn(arg);
}

int calm__serve_predict(struct calm__exchange *exchange,
    struct calm__matrix *matrix, float **ret_values)
{
    struct calm__batcher *batcher = &exchange->served->batcher;
    size_t numbers;
    if (__builtin_mul_overflow(matrix->rows, batcher->values, &numbers) ||
        numbers > NUMBERS_MOST)
        return calm_fail(CALM_ELIMIT,
            "%zu rows give more values than an answer may have", matrix->rows);
    float *values = calm__alloc((numbers + 1) * sizeof *values);
    if (!values)
        return calm_fail(-ENOMEM, "no memory for %zu values", numbers);
    int rc = calm__drill_within(exchange, matrix);
    if (rc == 0 && matrix->rows > 0)
        rc = calm__batcher_predict(
            batcher, matrix->values, matrix->rows, values);
    if (rc < 0)
        free(values);
    else
        *ret_values = values;
    if (rc == 0 && matrix->rows > 0 && calm__drill_fewer(exchange))
        matrix->rows--;
    return rc;
}

/* ---- a request ---- */

/* Load balancers ask for health without a token. */
static bool is_open(const calm_request *request)
{
    static const char health[] = "/v2/health/";
    return strncmp(calm_request_path(request), health, sizeof health - 1) == 0;
}

/* The time that the comparison takes tells the length and nothing else. */
static bool token_fits(const calm_serve *service, const calm_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = calm_request_header(request, "Authorization");
    if (!header || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return false;
    header += sizeof scheme - 1;
    header += strspn(header, " ");
    size_t len = strlen(service->token);
    return strlen(header) == len &&
           CRYPTO_memcmp(header, service->token, len) == 0;
}

/* Each check returns 1 to go on, 0 when it has answered, or an error. */
static int token_check(struct calm__exchange *exchange)
{
    if (!exchange->service->token || is_open(exchange->request) ||
        token_fits(exchange->service, exchange->request))
        return 1;
    int rc =
        calm_respond_header(exchange->request, "WWW-Authenticate", "Bearer");
    if (rc < 0)
        return rc;
    return calm__exchange_refuse(
        exchange, 401, "a token is needed: Authorization: Bearer TOKEN");
}

static bool works(enum calm__endpoint endpoint)
{
    return endpoint == CALM__SERVE_INFER || endpoint == CALM__SERVE_SAMPLES ||
           endpoint == CALM__SERVE_V1_PREDICT ||
           endpoint == CALM__SERVE_EMBEDDINGS;
}

/* What can only be something else: a form with files, text of another kind. No
 * type at all, or the one that curl -d sends, is JSON until it proves not to
 * be. */
static bool type_fits(const char *type)
{
    static const char *const types[] = {"application/json",
        "application/octet-stream", "application/x-www-form-urlencoded",
        "text/plain", "text/json"};
    if (!type || !*type)
        return true;
    size_t len = strcspn(type, "; \t");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i]) == len && strncasecmp(type, types[i], len) == 0)
            return true;
    return len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0;
}

static int body_check(struct calm__exchange *exchange)
{
    const char *coding =
        calm_request_header(exchange->request, "Content-Encoding");
    const char *type = calm_request_header(exchange->request, "Content-Type");
    if (coding && strcasecmp(coding, "identity") != 0)
        return calm__exchange_refuse(
            exchange, 415, "a body coded by '%.32s' is not read", coding);
    if (!type_fits(type))
        return calm__exchange_refuse(
            exchange, 415, "the body is '%.64s' instead of JSON", type);
    if (calm_server_draining(exchange->service->server))
        return retry_later(exchange, "the server ends");
    return 1;
}

static int endpoint_call(struct calm__exchange *exchange)
{
    switch (exchange->endpoint) {
    case CALM__SERVE_SAMPLES:
    case CALM__SERVE_V1_PREDICT:
        return calm__serve_samples(exchange);
    case CALM__SERVE_INFER:
        return calm__serve_infer(exchange);
    case CALM__SERVE_METRICS:
        return calm__serve_metrics(exchange);
    case CALM__SERVE_EMBEDDINGS:
        return calm__serve_embed(exchange);
    default:
        return calm__serve_about(exchange);
    }
}

static int exchange_run(struct calm__exchange *exchange)
{
    int rc = calm__serve_route(exchange);
    if (rc == 1)
        rc = calm__drill_before(exchange, works(exchange->endpoint));
    if (rc == 1 && works(exchange->endpoint))
        rc = body_check(exchange);
    return rc == 1 ? endpoint_call(exchange) : rc;
}

/* Nobody without the token sends us a body. */
static int head_look(calm_request *request, void *ctx)
{
    struct calm__exchange exchange = {
        .service = ctx, .request = request, .started = calm_now()};
    int rc = token_check(&exchange);
    if (rc == 1)
        return 0;
    calm__serve_count(&exchange);
    return rc < 0 ? rc : 1;
}

static int handle(calm_request *request, void *ctx)
{
    struct calm__exchange exchange = {
        .service = ctx, .request = request, .started = calm_now()};
    int rc = exchange_run(&exchange);
    if (rc < 0)
        rc = calm__exchange_failed(&exchange, rc);
    if (rc < 0)
        exchange.status = 500; /* what the server makes of an error */
    calm__drill_after(&exchange);
    calm__serve_count(&exchange);
    return rc;
}

/* ---- opening ---- */

static int model_predict(
    void *ctx, const float *matrix, size_t rows, float *ret_values)
{
    calm_model *model = ctx;
    return calm_model_predict(
        model, matrix, rows, calm_model_features(model), ret_values);
}

/* The file's name without folder and ending. */
static char *name_of_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *begin = slash ? slash + 1 : path;
    const char *end = strrchr(begin, '.');
    return strndup(
        begin, end && end > begin ? (size_t)(end - begin) : strlen(begin));
}

static int name_check(const calm_serve *service, const struct calm__served *new)
{
    for (const char *at = new->name; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return calm_fail(-EINVAL, "a model's name has a control character");
    if (!new->name[0] || strlen(new->name) > NAME_MOST)
        return calm_fail(
            -EINVAL, "a model's name must have 1 to %d bytes", NAME_MOST);
    for (const struct calm__served *served = service->models; served < new;
         served++)
        if (strcmp(served->name, new->name) == 0)
            return calm_fail(-EINVAL,
                "two models are called '%s'\nhint: name=FILE names one",
                new->name);
    return 0;
}

static int model_load(calm_serve *service, struct calm__served *served,
    const calm_serve_model *given, const calm_serve_opts *opts)
{
    calm_model_opts model_opts = {.sha256 = given->sha256};
    served->name =
        given->name ? strdup(given->name) : name_of_path(given->path);
    if (!served->name)
        return calm_fail(-ENOMEM, "no memory for a name");
    int rc = name_check(service, served);
    if (rc == 0)
        rc = calm_model_open(given->path, &model_opts, &served->model);
    if (rc == 0)
        rc = calm__feature_names_make(served);
    if (rc < 0)
        return rc;
    served->batcher = (struct calm__batcher){.predict = model_predict,
        .ctx = served->model,
        .columns = calm_model_features(served->model),
        .values = calm_model_values(served->model),
        .most = opts->batch_most ? opts->batch_most : 256,
        .queue = opts->queue_most ? opts->queue_most : 16384,
        .threads = opts->threads ? opts->threads : (size_t)calm_cpu_count(),
        .delay = opts->max_delay ? opts->max_delay : 2 * CALM_MS};
    calm__batcher_init(&served->batcher);
    return 0;
}

static int models_load(calm_serve *service, const calm_serve_opts *opts)
{
    if (opts->model_count == 0)
        return calm_fail(-EINVAL, "there is no model to serve");
    service->models = calloc(opts->model_count, sizeof *service->models);
    if (!service->models)
        return calm_fail(
            -ENOMEM, "no memory for %zu models", opts->model_count);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < opts->model_count; i++) {
        service->model_count = i + 1;
        rc = model_load(service, &service->models[i], &opts->models[i], opts);
    }
    return rc;
}

static int token_copy(calm_serve *service, const char *token)
{
    if (!token)
        return 0;
    for (const char *at = token; *at; at++)
        if (*at <= ' ' || *at >= 0x7f)
            return calm_fail(
                -EINVAL, "the token has a character that no header may have");
    if (!*token)
        return calm_fail(-EINVAL, "the token is empty");
    service->token = strdup(token);
    return service->token ? 0 : calm_fail(-ENOMEM, "no memory for a token");
}

/* Judged by the address that was bound, whatever name it was given by. Nothing
 * has been accepted yet. */
static int exposure_check(
    const calm_serve *service, const calm_serve_opts *opts)
{
    const char *name = calm_server_name(service->server);
    if (strncmp(name, "127.", 4) == 0 || strncmp(name, "[::1]:", 6) == 0)
        return 0;
    if (!opts->expose)
        return calm_fail(-EPERM,
            "'%s' can be reached from other machines\n"
            "hint: to want that takes --expose and a token",
            name);
    if (!service->token)
        return calm_fail(-EPERM,
            "'%s' can be reached from other machines, and there is no token\n"
            "hint: set CALM_SERVE_TOKEN, or --token-file FILE",
            name);
    return 0;
}

static int drills_read(calm_serve *service, const calm_serve_opts *opts)
{
    struct calm__drills *drills = &service->drills;
    drills->random = opts->seed;
    drills->asked = opts->allow_drill;
    drills->any = opts->drill_count > 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < opts->drill_count; i++)
        rc = calm__drill_parse(&drills->standing, opts->drills[i]);
    return rc;
}

static int open_all(calm_serve *service, const calm_serve_opts *opts)
{
    calm_server_opts server_opts = {.host = opts->host,
        .port = opts->port,
        .handler = handle,
        .head = head_look,
        .ctx = service,
        .body_most = opts->body_most,
        .connections_most = opts->connections_most,
        .drain = opts->drain};
    int rc = drills_read(service, opts);
    if (rc == 0)
        rc = token_copy(service, opts->token);
    if (rc == 0)
        rc = models_load(service, opts);
    if (rc == 0)
        rc = calm_server_open(&server_opts, &service->server);
    if (rc == 0)
        rc = exposure_check(service, opts);
    if (rc == 0)
        snprintf(service->url, sizeof service->url, "http://%s",
            calm_server_name(service->server));
    return rc;
}

int calm_serve_open(const calm_serve_opts *opts, calm_serve **ret_service)
{
    calm_serve *service = calm__alloc(sizeof *service);
    if (!service)
        return calm_fail(-ENOMEM, "no memory for a service");
    memset(service, 0, sizeof *service);
    int rc = open_all(service, opts);
    if (rc < 0)
        calm_serve_close(service);
    else
        *ret_service = service;
    return rc;
}

/* ---- running and closing ---- */

int calm_serve_run(calm_serve *service)
{
    return calm_server_run(service->server);
}

void calm_serve_close(calm_serve *service)
{
    if (!service)
        return;
    calm_server_close(service->server);
    for (size_t i = 0; i < service->model_count; i++) {
        struct calm__served *served = &service->models[i];
        calm__batcher_clear(&served->batcher);
        calm_model_close(served->model);
        free(served->names.slots);
        free(served->name);
    }
    free(service->models);
    if (service->token)
        OPENSSL_cleanse(service->token, strlen(service->token));
    free(service->token);
    free(service);
}

const char *calm_serve_url(const calm_serve *service)
{
    return service->url;
}

int calm_serve_port(const calm_serve *service)
{
    return calm_server_port(service->server);
}

void calm_serve_look(const calm_serve *service, calm_serve_state *ret_state)
{
    calm_serve_state state = {.requests = service->metrics.requests,
        .failed = service->metrics.failed,
        .connections = calm_server_connections(service->server),
        .in_flight = calm_server_requests(service->server)};
    for (size_t i = 0; i < service->model_count; i++) {
        state.rows += service->models[i].batcher.rows;
        state.batches += service->models[i].batcher.batches;
    }
    *ret_state = state;
}
