/* serve_about.c - what the service says of itself and its models
 *
 * Health is judged by the status alone; the body is for people. */
#include "ml/serve.h"

#include <errno.h>

static int truth_answer(
    struct calm__exchange *exchange, const char *name, bool truth)
{
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, name);
    calm_json_put_bool(&json, truth);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, truth ? 200 : 503, &json);
}

static int server_answer(struct calm__exchange *exchange)
{
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "name");
    calm_json_put_text(&json, "calm");
    calm_json_put_key(&json, "version");
    calm_json_put_text(&json, CALM_VERSION);
    calm_json_put_key(&json, "extensions");
    calm_json_begin_array(&json);
    calm_json_put_text(&json, "binary_tensor_data");
    calm_json_end_array(&json);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, 200, &json);
}

/* A tensor of the model: -1 rows, and WIDTH elements in each, 0 for a tensor
 * of one dimension. */
static void tensor_put(calm_json_writer *json, const char *name,
    const char *datatype, size_t width)
{
    calm_json_begin_object(json);
    calm_json_put_key(json, "name");
    calm_json_put_text(json, name);
    calm_json_put_key(json, "datatype");
    calm_json_put_text(json, datatype);
    calm_json_put_key(json, "shape");
    calm_json_begin_array(json);
    calm_json_put_int(json, -1);
    if (width > 0)
        calm_json_put_uint(json, width);
    calm_json_end_array(json);
    calm_json_end_object(json);
}

static int model_answer(struct calm__exchange *exchange)
{
    const calm_model *model = exchange->served->model;
    size_t values = calm_model_values(model);
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "name");
    calm_json_put_text(&json, exchange->served->name);
    calm_json_put_key(&json, "versions");
    calm_json_begin_array(&json);
    calm_json_put_text(&json, "1");
    calm_json_end_array(&json);
    calm_json_put_key(&json, "platform");
    calm_json_put_text(&json, "xgboost");
    calm_json_put_key(&json, "inputs");
    calm_json_begin_array(&json);
    tensor_put(&json, "input", "FP32", calm_model_features(model));
    calm_json_end_array(&json);
    calm_json_put_key(&json, "outputs");
    calm_json_begin_array(&json);
    tensor_put(&json, "prediction", "FP32", values > 1 ? values : 0);
    if (calm_model_kind(model) != CALM_MODEL_VALUE)
        tensor_put(&json, "label", "INT64", 0);
    calm_json_end_array(&json);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, 200, &json);
}

static int v1_list_answer(struct calm__exchange *exchange)
{
    const calm_serve *service = exchange->service;
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "models");
    calm_json_begin_array(&json);
    for (size_t i = 0; i < service->model_count; i++)
        calm_json_put_text(&json, service->models[i].name);
    calm_json_end_array(&json);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, 200, &json);
}

/* Both the way of KServe and that of TensorFlow Serving, whose clients look at
 * members of their own. */
static int v1_model_answer(struct calm__exchange *exchange)
{
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    bool ready = !calm_server_draining(exchange->service->server);
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "name");
    calm_json_put_text(&json, exchange->served->name);
    calm_json_put_key(&json, "ready");
    calm_json_put_bool(&json, ready);
    calm_json_put_key(&json, "model_version_status");
    calm_json_begin_array(&json);
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "version");
    calm_json_put_text(&json, "1");
    calm_json_put_key(&json, "state");
    calm_json_put_text(&json, ready ? "AVAILABLE" : "UNLOADING");
    calm_json_end_object(&json);
    calm_json_end_array(&json);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, 200, &json);
}

int calm__serve_about(struct calm__exchange *exchange)
{
    bool ready = !calm_server_draining(exchange->service->server);
    switch (exchange->endpoint) {
    case CALM__SERVE_LIVE:
        return truth_answer(exchange, "live", true);
    case CALM__SERVE_READY:
    case CALM__SERVE_MODEL_READY:
        return truth_answer(exchange, "ready", ready);
    case CALM__SERVE_MODEL:
        return model_answer(exchange);
    case CALM__SERVE_V1_LIST:
        return v1_list_answer(exchange);
    case CALM__SERVE_V1_MODEL:
        return v1_model_answer(exchange);
    default:
        return server_answer(exchange);
    }
}
