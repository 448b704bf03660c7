/* calm/serve.h - models as an inference server
 *
 *     calm_serve_model models[] = {{.path = "credit.json"}};
 *     calm_serve_opts opts = {.models = models, .model_count = 1};
 *     calm_serve *service;
 *     int rc = calm_serve_open(&opts, &service);
 *     if (rc == 0) {
 *         printf("%s\n", calm_serve_url(service));
 *         rc = calm_serve_run(service);            until cancelled
 *         calm_serve_close(service);
 *     }
 *
 * Speaks the Open Inference Protocol v2 (JSON, and binary tensors), KServe's
 * v1, and {"samples": [...]} -> {"predictions": [...]}; GET /metrics is for
 * Prometheus. What requests that are there at the same time ask for is
 * predicted together, on the CPU pool. calm-serve(1) has the paths.
 *
 * To try clients it can misbehave: see DRILLS there.
 */
#ifndef CALM_SERVE_H
#define CALM_SERVE_H

#include <calm/task.h>
#include <calm/time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_serve calm_serve;

typedef struct calm_serve_model {
    const char *path;
    const char *name;   /* NULL: the file's, without folder and ending */
    const char *sha256; /* as in calm/model.h; may be NULL */
} calm_serve_model;

/* Options; zero means default. All texts are copied or read at once. */
typedef struct calm_serve_opts {
    const calm_serve_model *models; /* the first answers /predict */
    size_t model_count; /* none: it tells about itself, and has drills */

    const char *host;  /* 127.0.0.1; others only with both of the next two */
    int port;          /* 0: the kernel chooses */
    bool expose;       /* yes, others than this machine may connect */
    const char *token; /* requests must carry "Authorization: Bearer TOKEN" */

    size_t batch_most; /* rows that are predicted together; 256 */
    int64_t max_delay; /* that rows wait for others while a thread is free and
                        * another predicts; 2 ms */
    size_t queue_most; /* rows that wait; beyond it 503; 16384 */
    size_t threads;    /* predictions at once; the CPU pool's */
    size_t body_most;  /* bytes of a request's body; 8 MiB */
    size_t connections_most; /* 1024 */
    int64_t drain;           /* for what is in flight at the end; 10 s */

    /* Misbehaviour for tests, such as "delay=50ms" and "fail=503:0.1", in the
     * language of calm-serve(1). With ALLOW_DRILL a request may ask for some
     * by its header X-Calm-Drill. SEED makes chance repeat. */
    const char *const *drills;
    size_t drill_count;
    bool allow_drill;
    uint64_t seed;
} calm_serve_opts;

/* Loads the models and listens. Returns 0 and the service, which the caller
 * closes; what calm_model_open() and calm_server_open() say of a model and the
 * port; -EINVAL for names that are given twice and drills that are none; or
 * -EPERM for a host beyond this machine without EXPOSE and a token. */
CALM_SUSPENDS int calm_serve_open(const calm_serve_opts *opts,
    calm_serve **ret_service) __attribute__((warn_unused_result));

/* Serves until the task is cancelled, and then drains as calm_server_run()
 * does, while /v2/health/ready says no and nothing new is predicted. Returns
 * -ECANCELED, or what went wrong. Call it once. */
CALM_SUSPENDS int calm_serve_run(calm_serve *service);

/* Frees it, models and all; NULL is fine. It must not run. */
void calm_serve_close(calm_serve *service);

/* Where it is: "http://127.0.0.1:40123", and the port. The service's. */
const char *calm_serve_url(const calm_serve *service);
int calm_serve_port(const calm_serve *service);

/* What it has done so far. */
typedef struct calm_serve_state {
    uint64_t requests; /* that were answered */
    uint64_t failed;   /* of these with a status of 400 or more */
    uint64_t rows;     /* predicted */
    uint64_t batches;  /* in so many predictions */
    size_t connections;
    size_t in_flight; /* requests */
} calm_serve_state;

void calm_serve_look(const calm_serve *service, calm_serve_state *ret_state);

#ifdef __cplusplus
}
#endif
#endif
