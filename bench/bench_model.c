/* bench_model.c - what calm adds to XGBoost's own call
 *
 * The floor is XGBoosterPredictFromDense() on a booster of one thread with
 * texts that were made before. Figures are microseconds for a call, of 32, 256
 * and 4096 rows; "two" while a second thread does the same.
 */
#include "bench.h"
#include "sample.h"

#include <calm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>
#include <xgboost/c_api.h>

enum { ROWS_MOST = 4096, THREADS_MOST = 2, ROWS_IN_ALL = 100000 };

static const char config[] =
    "{\"type\":0,\"training\":false,\"iteration_begin\":0,"
    "\"iteration_end\":0,\"missing\":NaN,\"strict_shape\":true,"
    "\"cache_id\":0}";

struct work {
    calm_model *model;
    BoosterHandle booster;
    size_t rows;
    int threads;
    bool floor;
    const float *matrix;
};

static void call_floor(const struct work *work)
{
    char array[128];
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *values;
    snprintf(array, sizeof array,
        "{\"data\":[%zu,true],\"shape\":[%zu,%d],\"typestr\":\"<f4\","
        "\"version\":3}",
        (size_t)work->matrix, work->rows, SAMPLE_COLUMNS);
    for (size_t done = 0; done < ROWS_IN_ALL; done += work->rows)
        sample_check(XGBoosterPredictFromDense(work->booster, array, config,
                         NULL, &shape, &dimensions, &values),
            "predict");
}

static void call_calm(const struct work *work)
{
    static thread_local float values[ROWS_MOST];
    for (size_t done = 0; done < ROWS_IN_ALL; done += work->rows)
        bench_check(calm_model_predict(work->model, work->matrix, work->rows,
                        SAMPLE_COLUMNS, values),
            "predict");
}

static int thread_main(void *arg)
{
    const struct work *work = arg;
    if (work->floor)
        call_floor(work);
    else
        call_calm(work);
    return 0;
}

static void measure(struct work *work, double *ret_figures)
{
    thrd_t threads[THREADS_MOST];
    double start = bench_clock();
    for (int i = 1; i < work->threads; i++)
        bench_check(-thrd_create(&threads[i], thread_main, work), "thread");
    thread_main(work);
    for (int i = 1; i < work->threads; i++)
        thrd_join(threads[i], NULL);
    double calls = (double)((ROWS_IN_ALL + work->rows - 1) / work->rows);
    ret_figures[0] = (bench_clock() - start) / calls / 1000;
}

static void measure_floor(void *ctx, double *ret_figures)
{
    struct work *work = ctx;
    work->floor = true;
    measure(work, ret_figures);
}

static void measure_calm(void *ctx, double *ret_figures)
{
    struct work *work = ctx;
    work->floor = false;
    measure(work, ret_figures);
}

static BoosterHandle booster_load(const char *path)
{
    BoosterHandle booster;
    sample_check(XGBoosterCreate(NULL, 0, &booster), "booster");
    sample_check(XGBoosterLoadModel(booster, path), path);
    sample_check(XGBoosterSetParam(booster, "nthread", "1"), "nthread");
    return booster;
}

static int run(void *arg)
{
    static const struct {
        const char *name;
        size_t rows;
        int threads;
    } cases[] = {
        {"model_batch", 32, 1},
        {"model_batch_two", 32, 2},
        {"model_256", 256, 1},
        {"model_256_two", 256, 2},
        {"model_4096", 4096, 1},
        {"model_4096_two", 4096, 2},
    };
    static float matrix[ROWS_MOST * SAMPLE_COLUMNS];
    const char *path = arg;
    struct work work = {.matrix = matrix, .booster = booster_load(path)};
    sample_matrix(3, matrix, ROWS_MOST);
    bench_check(calm_model_open(path, NULL, &work.model), path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        work.rows = cases[i].rows;
        work.threads = cases[i].threads;
        bench_run(&(struct bench){.names = {cases[i].name},
            .floor = measure_floor,
            .calm = measure_calm,
            .ctx = &work,
            .repetitions = 9});
    }
    calm_model_close(work.model);
    XGBoosterFree(work.booster);
    return 0;
}

int main(void)
{
    char folder[] = "/tmp/bench-model-XXXXXX", path[64];
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    snprintf(path, sizeof path, "%s/model.json", folder);
    sample_train(path);
    int rc = calm_run(run, path);
    unlink(path);
    rmdir(folder);
    return rc < 0;
}
