/* ml/serve.h - what the parts of the inference service share
 *
 *     serve_open.c     opening, running, closing
 *     serve.c          a request from begin to end
 *     serve_route.c    a path -> an endpoint and a model
 *     serve_samples.c  samples, instances -> rows; predictions -> JSON
 *     serve_infer.c    the Open Inference Protocol's infer
 *     serve_tensor.c   its tensors -> rows, and back
 *     serve_about.c    health, metadata
 *     serve_metrics.c  /metrics
 *     serve_drill.c    misbehaving on purpose, as serve_drill_words.c reads it
 *     serve_embed.c    a drill that looks like OpenAI's embeddings
 *     batcher.c        rows of many requests, predicted together
 */
#ifndef CALM_ML_SERVE_H
#define CALM_ML_SERVE_H

#include "ml/batcher.h"
#include "ml/serve_drill.h"

#include <calm/bytes.h>
#include <calm/json.h>
#include <calm/model.h>
#include <calm/serve.h>
#include <calm/server.h>

/* ---- the service ---- */

/* What a path asks for. */
enum calm__endpoint {
    CALM__SERVE_NOTHING, /* no such path */
    CALM__SERVE_LIVE,
    CALM__SERVE_READY,
    CALM__SERVE_SERVER, /* metadata of the server */
    CALM__SERVE_MODEL,  /* and of a model */
    CALM__SERVE_MODEL_READY,
    CALM__SERVE_INFER,
    CALM__SERVE_V1_LIST,
    CALM__SERVE_V1_MODEL,
    CALM__SERVE_V1_PREDICT,
    CALM__SERVE_SAMPLES,
    CALM__SERVE_METRICS,
    CALM__SERVE_EMBEDDINGS, /* a drill */
    CALM__SERVE_ENDPOINTS,
};

/* A name's place among the features: a hash table with open addressing. */
struct calm__feature_names {
    uint32_t *slots; /* feature + 1, or 0 */
    size_t mask;
};

struct calm__served {
    calm_model *model;
    char *name;
    struct calm__feature_names names;
    struct calm__batcher batcher;
};

enum { CALM__SERVE_TIMES = 14, CALM__SERVE_STATUSES = 24 };

struct calm__serve_metrics {
    uint64_t by_status[CALM__SERVE_ENDPOINTS][CALM__SERVE_STATUSES];
    uint64_t by_time[CALM__SERVE_TIMES]; /* of requests for predictions */
    uint64_t timed;
    int64_t time;
    uint64_t requests, failed;
};

struct calm_serve {
    calm_server *server;
    struct calm__served *models;
    size_t model_count;
    char *token;
    size_t body_most;
    struct calm__serve_metrics metrics;
    struct calm__drills drills;
    char url[128];
};

/* One request on its way. */
struct calm__exchange {
    calm_serve *service;
    calm_request *request;
    enum calm__endpoint endpoint;
    struct calm__served *served; /* where the path names a model */
    int status;
    int64_t started;

    struct calm__drill drill;
    bool drilled;     /* it counts among the active ones */
    const char *code; /* an error's, in the manner of OpenAI; or NULL */
};

/* Rows of numbers, row after row. */
struct calm__matrix {
    float *values; /* from malloc() */
    size_t rows, columns;
};

/* Makes it ROWS rows of COLUMNS missing values. Returns 0, -ENOMEM, or
 * CALM_ELIMIT for more than a request may ask for. */
int calm__matrix_make(struct calm__matrix *matrix, size_t rows, size_t columns);
void calm__matrix_clear(struct calm__matrix *matrix);

/* ---- answers: each returns 0, or -ENOMEM ---- */

/* The writer's text, which is taken; its error counts. */
int calm__exchange_json(
    struct calm__exchange *exchange, int status, calm_json_writer *json);

/* {"error": "..."} */
int calm__exchange_refuse(struct calm__exchange *exchange, int status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for what a call of calm returned, with the sentence it left. */
int calm__exchange_failed(struct calm__exchange *exchange, int rc);

/* ---- the parts ---- */

/* What the server calls with a head, and with a whole request. */
int calm__serve_head(calm_request *request, void *ctx);
CALM_SUSPENDS int calm__serve_handle(calm_request *request, void *ctx);

/* What the request asks for; also refuses: the path, the model, the version,
 * the method. Returns 1 to go on, 0 when it was answered, or an error. */
int calm__serve_route(struct calm__exchange *exchange);

/* The feature of that name, or -1. HINT is where it is tried first. */
int calm__feature_find(
    const struct calm__served *served, const char *name, size_t hint);
int calm__feature_names_make(struct calm__served *served);

/* Endpoints: answer, and return 0 or what went wrong. */
CALM_SUSPENDS int calm__serve_samples(struct calm__exchange *exchange);
CALM_SUSPENDS int calm__serve_infer(struct calm__exchange *exchange);
CALM_SUSPENDS int calm__serve_embed(struct calm__exchange *exchange);
int calm__serve_about(struct calm__exchange *exchange);
int calm__serve_metrics(struct calm__exchange *exchange);

/* Drills, if there are any. WORKS: the endpoint does more than telling. The
 * first returns 1 to go on, 0 when it has answered; the second a failure of a
 * poisoned matrix, the third whether a prediction shall be missing. */
CALM_SUSPENDS int calm__drill_before(
    struct calm__exchange *exchange, bool works);
int calm__drill_within(
    struct calm__exchange *exchange, const struct calm__matrix *matrix);
bool calm__drill_fewer(struct calm__exchange *exchange);
void calm__drill_after(struct calm__exchange *exchange);

/* Counts an exchange that is over. */
void calm__serve_count(const struct calm__exchange *exchange);

/* The LEN bytes of the body as JSON. Any thread. */
int calm__json_of_request(const struct calm__exchange *exchange,
    const char *text, size_t len, calm_json_doc **ret_doc);

/* Predicts the matrix; RET_VALUES is from malloc(). */
CALM_SUSPENDS int calm__serve_predict(struct calm__exchange *exchange,
    struct calm__matrix *matrix, float **ret_values);

/* Work on so many bytes of JSON: on the CPU pool when they are many. */
CALM_SUSPENDS int calm__serve_compute(size_t bytes, calm_fn *fn, void *arg);

enum { CALM__NUMBER_BYTES = 12 }; /* of a number in JSON, about */

#endif
