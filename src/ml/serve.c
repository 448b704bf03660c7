/* serve.c - models as an inference server: the way of a request
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
int calm__serve_head(calm_request *request, void *ctx)
{
    struct calm__exchange exchange = {
        .service = ctx, .request = request, .started = calm_now()};
    int rc = token_check(&exchange);
    if (rc == 1)
        return 0;
    calm__serve_count(&exchange);
    return rc < 0 ? rc : 1;
}

int calm__serve_handle(calm_request *request, void *ctx)
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
