/* serve_metrics.c - GET /metrics, in Prometheus' text format 0.0.4
 *
 * It stands here and not with the monitor, since it is an answer of the
 * server's protocol. Labels have few values: endpoints and statuses are
 * calm's own, models were named at the start.
 */
#include "ml/serve.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const endpoints[CALM__SERVE_ENDPOINTS] = {
    [CALM__SERVE_NOTHING] = "none",
    [CALM__SERVE_LIVE] = "live",
    [CALM__SERVE_READY] = "ready",
    [CALM__SERVE_SERVER] = "server",
    [CALM__SERVE_MODEL] = "model",
    [CALM__SERVE_MODEL_READY] = "model_ready",
    [CALM__SERVE_INFER] = "infer",
    [CALM__SERVE_V1_LIST] = "v1_models",
    [CALM__SERVE_V1_MODEL] = "v1_model",
    [CALM__SERVE_V1_PREDICT] = "v1_predict",
    [CALM__SERVE_SAMPLES] = "predict",
    [CALM__SERVE_METRICS] = "metrics",
    [CALM__SERVE_EMBEDDINGS] = "embeddings",
};

/* The last is for all others. */
static const int statuses[CALM__SERVE_STATUSES] = {200, 400, 401, 403, 404, 405,
    408, 409, 413, 415, 422, 425, 429, 431, 500, 501, 502, 503, 504, 0};

/* Upper bounds in nanoseconds; the last has none. */
static const int64_t times[CALM__SERVE_TIMES] = {500 * CALM_US, 1 * CALM_MS,
    2 * CALM_MS, 5 * CALM_MS, 10 * CALM_MS, 20 * CALM_MS, 50 * CALM_MS,
    100 * CALM_MS, 200 * CALM_MS, 500 * CALM_MS, 1 * CALM_S, 2 * CALM_S,
    5 * CALM_S, INT64_MAX};

void calm__serve_count(const struct calm__exchange *exchange)
{
    struct calm__serve_metrics *metrics = &exchange->service->metrics;
    size_t status = 0, time = 0;
    while (statuses[status] != 0 && statuses[status] != exchange->status)
        status++;
    metrics->by_status[exchange->endpoint][status]++;
    metrics->requests++;
    metrics->failed += exchange->status >= 400;
    if (exchange->endpoint != CALM__SERVE_INFER &&
        exchange->endpoint != CALM__SERVE_SAMPLES &&
        exchange->endpoint != CALM__SERVE_V1_PREDICT)
        return;
    int64_t took = calm_now() - exchange->started;
    while (took > times[time])
        time++;
    metrics->by_time[time]++;
    metrics->timed++;
    metrics->time += took;
}

/* ---- writing ---- */

/* The first failure is kept, and found at the end. */
struct page {
    calm_bytes bytes;
    int rc;
};

static void put(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct page *page, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (page->rc == 0)
        page->rc = calm_bytes_append_text(&page->bytes, text);
}

static void family(
    struct page *page, const char *name, const char *type, const char *help)
{
    put(page, "# HELP calm_serve_%s %s\n# TYPE calm_serve_%s %s\n", name, help,
        name, type);
}

static double seconds(int64_t time)
{
    return (double)time / (double)CALM_S;
}

/* A sample of NAME with the model's name as its label, in which quotes and
 * backslashes are escaped. */
static void model_put(
    struct page *page, const char *name, const struct calm__served *served)
{
    put(page, "calm_serve_%s{model=\"", name);
    for (const char *at = served->name; *at; at++)
        put(page, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
}

/* One number of each model's batcher, at OFFSET of it. */
static void models_put(struct page *page, const calm_serve *service,
    const char *name, const char *type, const char *help, size_t offset)
{
    family(page, name, type, help);
    for (size_t i = 0; i < service->model_count; i++) {
        const char *batcher = (const char *)&service->models[i].batcher;
        uint64_t value;
        memcpy(&value, batcher + offset, sizeof value);
        model_put(page, name, &service->models[i]);
        put(page, "\"} %llu\n", (unsigned long long)value);
    }
}

static void requests_put(
    struct page *page, const struct calm__serve_metrics *metrics)
{
    family(page, "requests_total", "counter",
        "Requests that were answered, by endpoint and status.");
    for (size_t i = 0; i < CALM__SERVE_ENDPOINTS; i++)
        for (size_t j = 0; j < CALM__SERVE_STATUSES; j++) {
            uint64_t count = metrics->by_status[i][j];
            char status[16] = "other";
            if (count == 0)
                continue;
            if (statuses[j] != 0)
                snprintf(status, sizeof status, "%d", statuses[j]);
            put(page,
                "calm_serve_requests_total{endpoint=\"%s\",status=\"%s\"} "
                "%llu\n",
                endpoints[i], status, (unsigned long long)count);
        }
}

static void times_put(
    struct page *page, const struct calm__serve_metrics *metrics)
{
    uint64_t sum = 0;
    family(page, "request_seconds", "histogram",
        "Time from a whole request for predictions to its answer.");
    for (size_t i = 0; i < CALM__SERVE_TIMES; i++) {
        char bound[32] = "+Inf";
        sum += metrics->by_time[i];
        if (times[i] != INT64_MAX)
            snprintf(bound, sizeof bound, "%g", seconds(times[i]));
        put(page, "calm_serve_request_seconds_bucket{le=\"%s\"} %llu\n", bound,
            (unsigned long long)sum);
    }
    put(page,
        "calm_serve_request_seconds_sum %.9g\n"
        "calm_serve_request_seconds_count %llu\n",
        seconds(metrics->time), (unsigned long long)metrics->timed);
}

static void sizes_put(struct page *page, const struct calm__served *served)
{
    const struct calm__batcher *batcher = &served->batcher;
    uint64_t sum = 0;
    for (size_t i = 0; i < CALM__BATCH_SIZES; i++) {
        char bound[32] = "+Inf";
        sum += batcher->of_size[i];
        if (calm__batch_sizes[i] != SIZE_MAX)
            snprintf(bound, sizeof bound, "%zu", calm__batch_sizes[i]);
        model_put(page, "batch_rows_bucket", served);
        put(page, "\",le=\"%s\"} %llu\n", bound, (unsigned long long)sum);
    }
    model_put(page, "batch_rows_sum", served);
    put(page, "\"} %llu\n", (unsigned long long)batcher->rows);
    model_put(page, "batch_rows_count", served);
    put(page, "\"} %llu\n", (unsigned long long)batcher->batches);
}

static void batchers_put(struct page *page, const calm_serve *service)
{
    models_put(page, service, "rows_total", "counter", "Rows predicted.",
        offsetof(struct calm__batcher, rows));
    models_put(page, service, "queue_refused_total", "counter",
        "Requests refused as too many rows waited.",
        offsetof(struct calm__batcher, rejected));
    models_put(page, service, "queue_rows", "gauge", "Rows that wait.",
        offsetof(struct calm__batcher, waiting));
    models_put(page, service, "predictions", "gauge",
        "Batches that are being predicted.",
        offsetof(struct calm__batcher, busy));
    family(page, "predict_seconds_total", "counter",
        "Time that predictions took.");
    for (size_t i = 0; i < service->model_count; i++) {
        model_put(page, "predict_seconds_total", &service->models[i]);
        put(page, "\"} %.9g\n", seconds(service->models[i].batcher.predicting));
    }
    family(page, "batch_rows", "histogram", "Rows predicted together.");
    for (size_t i = 0; i < service->model_count; i++)
        sizes_put(page, &service->models[i]);
}

/* The gauges of the batcher are written as 64 bits. */
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "64-bit processors only");

int calm__serve_metrics(struct calm__exchange *exchange)
{
    const calm_serve *service = exchange->service;
    struct page page = {.rc = 0};
    family(&page, "info", "gauge", "The version of calm.");
    put(&page, "calm_serve_info{version=\"%s\"} 1\n", CALM_VERSION);
    requests_put(&page, &service->metrics);
    times_put(&page, &service->metrics);
    family(&page, "connections", "gauge", "Connections that are open.");
    put(&page, "calm_serve_connections %zu\n",
        calm_server_connections(service->server));
    family(&page, "requests_in_flight", "gauge",
        "Requests that have begun and are not yet answered.");
    put(&page, "calm_serve_requests_in_flight %zu\n",
        calm_server_requests(service->server));
    family(&page, "drills_total", "counter", "Misdeeds that were asked for.");
    put(&page, "calm_serve_drills_total %llu\n",
        (unsigned long long)service->drills.done);
    batchers_put(&page, service);
    int rc = page.rc;
    if (rc == 0)
        rc = calm_respond_bytes(exchange->request, 200,
            "text/plain; version=0.0.4; charset=utf-8", &page.bytes);
    if (rc == 0)
        exchange->status = 200;
    calm_bytes_clear(&page.bytes);
    return rc;
}
