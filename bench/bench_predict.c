/* bench_predict.c - rows a second from CSV to CSV through an XGBoost model
 *
 *     bench_predict CALM [ROWS]
 *
 * Makes, in the current folder, a file of ROWS rows of 12 numbers and a model
 * of 100 trees of depth 6. The floor maps the file, has a thread for each
 * processor take parts of it by turns, parse, predict and print, and writes
 * the parts in order: what calm predict does, with nothing else around it.
 * Both are processes of their own and load the model. The call itself, with a
 * batch of 32, is measured beside the model's own interface, too.
 */
#include "bench.h"

#include <calm.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xgboost/c_api.h>

enum {
    FEATURES = 12,
    TRAINED = 20000, /* rows that the model learns from */
    TREES = 100,
    PART = 256 << 10, /* bytes */
    THREADS = 2,
    BATCH = 32,
    CALLS = 2000,
};

static const char *calm_program;
static long row_count = 1000000;

static void xgboost_check(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench: XGBoost: %s\n", XGBGetLastError());
    exit(1);
}

/* ---- the data and the model ---- */

static float random_value(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float)(state >> 40) / 16777.216f;
}

static void data_make(void)
{
    FILE *file = fopen("rows.csv", "w");
    bench_check(file ? 0 : -1, "rows.csv");
    fprintf(file, "id");
    for (int i = 0; i < FEATURES; i++)
        fprintf(file, ",f%d", i);
    for (long row = 0; row < row_count; row++) {
        fprintf(file, "\n%ld", row);
        for (int i = 0; i < FEATURES; i++)
            fprintf(file, ",%.4f", (double)random_value());
    }
    fprintf(file, "\n");
    bench_check(fclose(file), "rows.csv");
}

static void model_make(void *ctx, double *ret_figures)
{
    static float matrix[TRAINED][FEATURES], labels[TRAINED];
    for (int row = 0; row < TRAINED; row++) {
        for (int i = 0; i < FEATURES; i++)
            matrix[row][i] = random_value();
        labels[row] =
            matrix[row][0] * matrix[row][1] >
            matrix[row][2] * 500 + matrix[row][3] * random_value() / 2;
    }
    DMatrixHandle data;
    BoosterHandle booster;
    xgboost_check(
        XGDMatrixCreateFromMat(matrix[0], TRAINED, FEATURES, NAN, &data));
    xgboost_check(XGDMatrixSetFloatInfo(data, "label", labels, TRAINED));
    xgboost_check(XGBoosterCreate(&data, 1, &booster));
    XGBoosterSetParam(booster, "objective", "binary:logistic");
    XGBoosterSetParam(booster, "max_depth", "6");
    for (int round = 0; round < TREES; round++)
        xgboost_check(XGBoosterUpdateOneIter(booster, round, data));
    xgboost_check(XGBoosterSaveModel(booster, "model.json"));
    XGBoosterFree(booster);
    XGDMatrixFree(data);
}

static const float *model_ask(
    BoosterHandle booster, const float *matrix, size_t rows)
{
    static const char config[] =
        "{\"type\":0,\"training\":false,"
        "\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":true,"
        "\"cache_id\":0,\"missing\":NaN}";
    char array[160];
    snprintf(array, sizeof array,
        "{\"data\":[%zu,true],\"shape\":[%zu,%d],\"typestr\":\"<f4\","
        "\"version\":3}",
        (size_t)matrix, rows, FEATURES);
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *answers;
    xgboost_check(XGBoosterPredictFromDense(
        booster, array, config, NULL, &shape, &dimensions, &answers));
    return answers;
}

/* The first prediction sets it up, after which threads may share it. */
static BoosterHandle model_load(void)
{
    static const float row[FEATURES];
    BoosterHandle booster;
    xgboost_check(XGBoosterCreate(NULL, 0, &booster));
    xgboost_check(XGBoosterLoadModel(booster, "model.json"));
    xgboost_check(XGBoosterSetParam(booster, "nthread", "1"));
    model_ask(booster, row, 1);
    return booster;
}

/* ---- the floor ---- */

static struct {
    const char *text, *end;
    BoosterHandle booster;
    int output;
    pthread_mutex_t lock;
    pthread_cond_t written;
    const char *next; /* the part that nobody has taken yet */
    long taken, put;
} plain = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .written = PTHREAD_COND_INITIALIZER,
};

/* What the file has, digits and a point, and no more. */
static const char *number_read(const char *at, float *ret_value)
{
    uint64_t digits = 0, scale = 1;
    for (; *at >= '0'; at++)
        digits = digits * 10 + (uint64_t)(*at - '0');
    if (*at == '.')
        for (at++; *at >= '0'; at++, scale *= 10)
            digits = digits * 10 + (uint64_t)(*at - '0');
    *ret_value = (float)((double)digits / (double)scale);
    return at + 1;
}

struct plain_part {
    const char *from, *to;
    long number;
    float *matrix;
    const char **ids;
    char *out;
};

static bool part_take(struct plain_part *part)
{
    pthread_mutex_lock(&plain.lock);
    part->from = plain.next;
    part->number = plain.taken++;
    part->to = plain.end;
    if (plain.end - part->from > PART)
        part->to = (const char *)memchr(part->from + PART, '\n',
                       (size_t)(plain.end - part->from - PART)) +
                   1;
    plain.next = part->to;
    pthread_mutex_unlock(&plain.lock);
    return part->from < part->to;
}

static void part_put(struct plain_part *part, size_t len)
{
    pthread_mutex_lock(&plain.lock);
    while (plain.put != part->number)
        pthread_cond_wait(&plain.written, &plain.lock);
    pthread_mutex_unlock(&plain.lock);
    bench_check(
        write(plain.output, part->out, len) == (ssize_t)len ? 0 : -1, "out");
    pthread_mutex_lock(&plain.lock);
    plain.put++;
    pthread_cond_broadcast(&plain.written);
    pthread_mutex_unlock(&plain.lock);
}

static size_t part_work(struct plain_part *part)
{
    size_t rows = 0;
    for (const char *at = part->from; at < part->to; rows++) {
        part->ids[rows] = at;
        at = strchr(at, ',') + 1;
        for (int i = 0; i < FEATURES; i++)
            at = number_read(at, &part->matrix[rows * FEATURES + i]);
    }
    const float *answers = model_ask(plain.booster, part->matrix, rows);
    char *out = part->out;
    for (size_t row = 0; row < rows; row++) {
        for (const char *id = part->ids[row]; *id != ','; id++)
            *out++ = *id;
        out += sprintf(
            out, ",%.9g,%d\n", (double)answers[row], answers[row] >= 0.5f);
    }
    return (size_t)(out - part->out);
}

static void *plain_thread(void *arg)
{
    const size_t rows_most = PART / (2 * FEATURES) + 16;
    struct plain_part part = {
        .matrix = malloc(rows_most * FEATURES * sizeof(float)),
        .ids = malloc(rows_most * sizeof(char *)),
        .out = malloc(2 * PART),
    };
    while (part_take(&part))
        part_put(&part, part_work(&part));
    free(part.matrix);
    free(part.ids);
    free(part.out);
    return NULL;
}

static void floor_predict(void *ctx, double *ret_figures)
{
    double start = bench_clock();
    int fd = open("rows.csv", O_RDONLY | O_CLOEXEC);
    struct stat status;
    bench_check(fd < 0 ? -1 : fstat(fd, &status), "rows.csv");
    plain.text =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    bench_check(plain.text == MAP_FAILED ? -1 : 0, "mmap");
    plain.end = plain.text + status.st_size;
    plain.next = strchr(plain.text, '\n') + 1;
    plain.booster = model_load();
    plain.output = open("floor.csv", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dprintf(plain.output, "id,prediction,label\n");
    pthread_t other;
    pthread_create(&other, NULL, plain_thread, NULL);
    plain_thread(NULL);
    pthread_join(other, NULL);
    bench_check(fsync(plain.output), "fsync");
    close(plain.output);
    ret_figures[0] = (double)row_count * 1e9 / (bench_clock() - start);
}

/* ---- calm, and the call itself ---- */

static void program_predict(void *ctx, double *ret_figures)
{
    extern char **environ;
    char *arguments[] = {(char *)calm_program, "predict", "rows.csv", "--model",
        "model.json", "-o", "calm.csv", "--overwrite", "-q", NULL};
    double start = bench_clock();
    pid_t child;
    int status;
    bench_check(
        -posix_spawn(&child, calm_program, NULL, NULL, arguments, environ),
        calm_program);
    waitpid(child, &status, 0);
    bench_check(status == 0 ? 0 : -1, "calm predict");
    ret_figures[0] = (double)row_count * 1e9 / (bench_clock() - start);
}

static float batch[BATCH][FEATURES];

static void floor_batch(void *ctx, double *ret_figures)
{
    BoosterHandle booster = model_load();
    double start = bench_clock();
    for (int i = 0; i < CALLS; i++)
        model_ask(booster, batch[0], BATCH);
    ret_figures[0] = (bench_clock() - start) / CALLS / CALM_US;
    XGBoosterFree(booster);
}

static int batch_calls(void *arg)
{
    float answers[BATCH];
    int rc = calm_model_predict(arg, batch[0], BATCH, FEATURES, answers);
    for (int i = 0; i < CALLS && rc == 0; i++)
        rc = calm_model_predict(arg, batch[0], BATCH, FEATURES, answers);
    return rc;
}

/* On the CPU pool, where there is stack enough; the hop is not measured. */
static int batch_main(void *arg)
{
    double *ret_figures = arg;
    calm_model *model;
    int rc = calm_model_open("model.json", NULL, &model);
    if (rc < 0)
        return rc;
    double start = bench_clock();
    rc = calm_cpu(batch_calls, model);
    ret_figures[0] = (bench_clock() - start) / CALLS / CALM_US;
    calm_model_close(model);
    return rc;
}

static void calm_batch(void *ctx, double *ret_figures)
{
    bench_check(calm_run(batch_main, ret_figures), "a batch");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_predict CALM [ROWS]\n");
        return 2;
    }
    calm_program = argv[1];
    if (argc > 2)
        row_count = atol(argv[2]);
    if (access("rows.csv", R_OK) != 0)
        data_make();
    /* XGBoost's threads do not survive a fork, so it is first used in children
     * and only then in this process. */
    bench_fresh(model_make, NULL, (double[BENCH_FIGURES]){0});
    bench_run(&(struct bench){.names = {"predict_rows"},
        .fresh = true,
        .floor = floor_predict,
        .calm = program_predict});
    for (int row = 0; row < BATCH; row++)
        for (int i = 0; i < FEATURES; i++)
            batch[row][i] = random_value();
    bench_run(&(struct bench){
        .names = {"model_batch"}, .floor = floor_batch, .calm = calm_batch});
    return 0;
}
