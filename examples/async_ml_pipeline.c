/* async_ml_pipeline.c - load, preprocess, predict: in step, and overlapped
 *
 * The work of a sample is simulated by sleeping; the streaming is real: while
 * one batch is predicted the next is preprocessed. calm predict is the same
 * pipeline around a real model.
 */
#include <calm.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, FEATURES = 10 };

struct sample {
    int id;
    float data[FEATURES];
    bool processed, predicted;
};

struct work {
    struct sample *samples;
    size_t count, next, predicted;
};

static int load_samples(struct work *work)
{
    int rc = calm_sleep(500 * CALM_MS);
    for (size_t i = 0; i < work->count; i++) {
        work->samples[i] = (struct sample){.id = (int)i};
        for (int j = 0; j < FEATURES; j++)
            work->samples[i].data[j] = (float)i * 0.1f;
    }
    return rc;
}

static int preprocess_sample(void *arg)
{
    ((struct sample *)arg)->processed = true;
    return calm_sleep(10 * CALM_MS);
}

static int predict_sample(void *arg)
{
    ((struct sample *)arg)->predicted = true;
    return calm_sleep(20 * CALM_MS);
}

static int next_batch(void **ret_batch, void *ctx)
{
    struct work *work = ctx;
    *ret_batch = work->samples + work->next;
    work->next += BATCH;
    return work->next < work->count + BATCH;
}

static size_t batch_size(struct work *work, struct sample *batch)
{
    size_t left = work->count - (size_t)(batch - work->samples);
    return left < BATCH ? left : BATCH;
}

static int preprocess(void *batch, void *ctx)
{
    size_t count = batch_size(ctx, batch);
    return calm_map(
        preprocess_sample, batch, count, sizeof(struct sample), NULL);
}

static int predict(void *batch, void *ctx)
{
    size_t count = batch_size(ctx, batch);
    return calm_map(predict_sample, batch, count, sizeof(struct sample), NULL);
}

static int collect(void *batch, int code, void *ctx)
{
    struct work *work = ctx;
    work->predicted += code < 0 ? 0 : batch_size(work, batch);
    return code;
}

static int run(void *arg)
{
    struct work work = {.count = *(size_t *)arg};
    calm_stage stages[] = {{.name = "preprocess", .fn = preprocess},
        {.name = "predict", .fn = predict}};
    calm_pipeline pipeline = {.source = next_batch,
        .stages = stages,
        .stage_count = 2,
        .sink = collect,
        .ctx = &work};
    int64_t start = calm_now();
    work.samples = calloc(work.count, sizeof *work.samples);
    int rc = work.samples ? load_samples(&work) : -ENOMEM;
    rc = rc < 0 ? rc : calm_pipeline_run(&pipeline);
    double seconds = calm_seconds_since(start);
    printf("samples: %zu\ntime: %.2f s\nsamples per second: %.1f\n",
        work.predicted, seconds, (double)work.predicted / seconds);
    free(work.samples);
    return rc;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 200;
    int rc = calm_run(run, &count);
    if (rc < 0)
        fprintf(stderr, "%s\n", calm_message(rc));
    return rc < 0;
}
