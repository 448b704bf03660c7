/* serve_open.c - models as an inference server: opening, running, closing */
#include "ml/serve.h"

#include "base/fault.h"

#include <calm/pool.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 128 };

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
        return 0;
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
        .handler = calm__serve_handle,
        .head = calm__serve_head,
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
