/* predict.c - a dataset through a model, into a file
 *
 *     cut (loop) -> preprocess (CPU pool) -> predict (CPU pool) -> save (loop)
 *
 * A batch is a block of rows with all the memory that its way needs: the
 * reader, the matrix, the values and the text of the answer. Batches are used
 * again, so after the first few none of it is allocated. A row that fails
 * stays in its batch, predicted from nothing, and is told apart at the end.
 */
#include "ml/answer.h"
#include "ml/sink.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/pipeline.h>
#include <calm/pool.h>
#include <calm/predict.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH_NUMBERS = 2 << 20, /* floats: 8 MiB */
    VALUE_TEXT = 4,          /* a value is a float and some 12 bytes of text */
};

struct batch {
    struct batch *next; /* among the spare ones */
    struct work *work;
    struct calm__chunk *chunk;
    calm_csv_block block;
    struct calm__rows *reader;
    size_t room; /* rows that the arrays hold */
    int count;
    float *matrix;
    float *values;
    struct calm__row *rows;
    struct calm__cell *cells;
    char *cause; /* why the model refused rows that have none, or NULL */
    calm_bytes out, errors;
    uint64_t ok, failed, compared, right;
    double squared_error;
};

struct work {
    const calm_predict_opts *opts;
    calm_predict_state *state;
    calm_model *model;
    struct calm__dataset *dataset;
    struct calm__sink *sink;
    struct calm__sink *errors; /* opened by the first row that fails */
    char *errors_path;
    struct calm__choice choice;
    const char **features; /* when we have chosen them */
    const char **cells;    /* id, truth, kept */
    size_t keep_count;
    bool has_id, has_truth;
    struct calm__answer answer;
    struct batch *spare;
    size_t columns;
    size_t values;
    uint64_t taken; /* rows of the input, with those that are skipped later */
};

/* ---- batches ---- */

static void batch_free(struct batch *batch)
{
    calm__chunk_release(batch->work->dataset, batch->chunk);
    calm__rows_free(batch->reader);
    free(batch->matrix);
    free(batch->values);
    free(batch->rows);
    free(batch->cells);
    free(batch->cause);
    calm_bytes_clear(&batch->out);
    calm_bytes_clear(&batch->errors);
    free(batch);
}

static struct batch *batch_get(struct work *work)
{
    struct batch *batch = work->spare;
    if (batch) {
        work->spare = batch->next;
        return batch;
    }
    batch = calm__alloc(sizeof *batch);
    if (!batch)
        return NULL;
    *batch = (struct batch){.work = work};
    batch->reader = calm__rows_new(work->dataset);
    batch->cells = calloc(work->choice.cell_count + 1, sizeof *batch->cells);
    if (batch->reader && batch->cells)
        return batch;
    batch_free(batch);
    return NULL;
}

static void batch_put(struct batch *batch)
{
    struct work *work = batch->work;
    calm__chunk_release(work->dataset, batch->chunk);
    batch->chunk = NULL;
    batch->next = work->spare;
    work->spare = batch;
}

/* Sizes are checked before they are multiplied; the arrays only grow. */
static int batch_room(struct batch *batch)
{
    const struct work *work = batch->work;
    size_t rows = batch->block.rows, matrix, values;
    if (rows <= batch->room)
        return 0;
    free(batch->matrix);
    free(batch->values);
    free(batch->rows);
    batch->matrix = batch->values = NULL;
    batch->rows = NULL;
    batch->room = 0;
    if (__builtin_mul_overflow(rows, work->columns + 1, &matrix) ||
        __builtin_mul_overflow(rows, work->values, &values))
        return -ENOMEM;
    batch->matrix = calloc(matrix, sizeof *batch->matrix);
    batch->values = calloc(values, sizeof *batch->values);
    batch->rows = calloc(rows, sizeof *batch->rows);
    if (!batch->matrix || !batch->values || !batch->rows ||
        calm__fault("memory"))
        return calm_fail(-ENOMEM, "no memory for a batch of %zu rows", rows);
    batch->room = rows;
    return 0;
}

/* ---- source ---- */

/* Rows with thousands of columns, or of a model with thousands of classes,
 * make smaller batches, so that memory stays within its bound. */
static size_t rows_wanted(const struct work *work)
{
    size_t most = work->opts->batch_size ? work->opts->batch_size : 4096;
    size_t wide = work->columns + VALUE_TEXT * work->values;
    size_t fit = wide < BATCH_NUMBERS ? BATCH_NUMBERS / wide : 1;
    uint64_t limit = work->opts->limit;
    if (most > fit)
        most = fit;
    if (limit && limit - work->taken < most)
        most = (size_t)(limit - work->taken);
    return most;
}

static int next_batch(void **ret_item, void *ctx)
{
    struct work *work = ctx;
    calm_predict_state *state = work->state;
    size_t most = rows_wanted(work);
    if (most == 0)
        return 0;
    struct batch *batch = batch_get(work);
    if (!batch)
        return calm_fail(-ENOMEM, "no memory for a batch");
    int rc =
        calm__dataset_next(work->dataset, most, &batch->block, &batch->chunk);
    if (rc <= 0) {
        batch_put(batch);
        return rc;
    }
    if (state->started == 0)
        state->started = calm_now();
    work->taken += batch->block.rows;
    state->rows += batch->block.rows;
    state->in_flight += batch->block.rows;
    state->bytes = calm__dataset_position(work->dataset);
    *ret_item = batch;
    return 1;
}

/* ---- stages, on the CPU pool ---- */

static int preprocess(void *item, void *ctx)
{
    struct batch *batch = item;
    batch->count = 0;
    int rc = batch_room(batch);
    if (rc < 0)
        return rc;
    batch->count = calm__rows_floats(
        batch->reader, &batch->block, batch->matrix, batch->rows);
    return batch->count;
}

static void compare(
    struct batch *batch, const struct calm__cell *truth, const float *values)
{
    if (isnan(truth->number))
        return;
    int label = calm_model_label(batch->work->model, values);
    double difference = values[0] - truth->number;
    batch->compared++;
    batch->right += label >= 0 && label == truth->number;
    batch->squared_error += difference * difference;
}

static const char *cause_of(
    const struct batch *batch, const struct calm__row *row)
{
    return row->cause ? row->cause : batch->cause;
}

static int row_answer(struct batch *batch, int index)
{
    struct work *work = batch->work;
    struct calm__row *row = &batch->rows[index];
    struct calm__cell *id = work->has_id ? batch->cells : NULL;
    struct calm__cell *truth = batch->cells + work->has_id;
    int rc = calm__rows_cells_next(batch->reader, batch->cells);
    if (rc < 0)
        return rc;
    if (row->status < 0) {
        batch->failed++;
        return calm__answer_error(
            &batch->errors, row, id, cause_of(batch, row));
    }
    const float *values = batch->values + (size_t)index * work->values;
    if (work->has_truth)
        compare(batch, truth, values);
    batch->ok++;
    return calm__answer_row(
        &work->answer, &batch->out, row, id, truth + work->has_truth, values);
}

static int predict_rows(struct batch *batch, int first, int count)
{
    struct work *work = batch->work;
    return calm_model_predict(work->model,
        batch->matrix + (size_t)first * work->columns, (size_t)count,
        work->columns, batch->values + (size_t)first * work->values);
}

/* After the model has refused the batch: the rows one by one, so that only
 * those that it refuses fail. XGBoost takes no infinite numbers for some of
 * its models. */
static int predict_each(struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        struct calm__row *row = &batch->rows[i];
        int rc = row->status < 0 ? 0 : predict_rows(batch, i, 1);
        if (rc == -ENOMEM)
            return rc;
        if (rc < 0 && !batch->cause)
            batch->cause = strdup(calm_message(rc));
        if (rc < 0 && !batch->cause)
            return -ENOMEM;
        if (rc < 0)
            row->status = rc;
    }
    return 0;
}

static int predict(void *item, void *ctx)
{
    struct batch *batch = item;
    calm_bytes_reset(&batch->out);
    calm_bytes_reset(&batch->errors);
    free(batch->cause);
    batch->cause = NULL;
    batch->ok = batch->failed = batch->compared = batch->right = 0;
    batch->squared_error = 0;
    int rc = predict_rows(batch, 0, batch->count);
    if (rc < 0)
        rc = predict_each(batch);
    if (rc < 0)
        return rc;
    calm__rows_cells_begin(batch->reader, &batch->block);
    rc = 0;
    for (int i = 0; rc >= 0 && i < batch->count; i++)
        rc = row_answer(batch, i);
    return rc;
}

/* ---- sink ---- */

static int errors_write(struct work *work, const struct batch *batch)
{
    if (work->opts->on_failed)
        for (int i = 0; i < batch->count; i++) {
            const struct calm__row *row = &batch->rows[i];
            if (row->status < 0)
                work->opts->on_failed(
                    work->opts->ctx, row->row, row->line, cause_of(batch, row));
        }
    if (!work->errors_path)
        return 0;
    int rc = 0;
    if (!work->errors)
        rc = calm__sink_open(
            work->errors_path, /* overwrite= */ true, &work->errors);
    return rc < 0 ? rc : calm__sink_write(work->errors, &batch->errors);
}

static int save(void *item, int code, void *ctx)
{
    struct batch *batch = item;
    struct work *work = ctx;
    calm_predict_state *state = work->state;
    if (code < 0)
        return code;
    int rc = 0;
    if (batch->out.len > 0)
        rc = calm__sink_write(work->sink, &batch->out);
    if (rc == 0 && batch->failed > 0)
        rc = errors_write(work, batch);
    if (rc < 0)
        return rc;
    state->ok += batch->ok;
    state->failed += batch->failed;
    state->compared += batch->compared;
    state->right += batch->right;
    state->squared_error += batch->squared_error;
    state->in_flight -= batch->block.rows;
    /* Rows that were skipped as ragged are neither. */
    state->rows -= batch->block.rows - (size_t)batch->count;
    batch_put(batch);
    return 0;
}

static void drop(void *item, void *ctx)
{
    batch_put(item);
}

/* ---- the columns ---- */

static size_t count_of(const char *const *names)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    return count;
}

static const char *id_of(const struct work *work)
{
    static const char *const usual[] = {"sample_id", "id"};
    if (work->opts->id)
        return work->opts->id;
    for (size_t i = 0; i < 2; i++)
        if (calm__dataset_has(work->dataset, usual[i]))
            return usual[i];
    return NULL;
}

/* Every column but the id and the truth. */
static int features_by_default(struct work *work, const char *id)
{
    const char *truth = work->opts->truth;
    size_t columns = calm__dataset_columns(work->dataset);
    work->features = calloc(columns + 1, sizeof *work->features);
    if (!work->features)
        return -ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < columns; i++) {
        const char *name = calm__dataset_column(work->dataset, i);
        if ((!id || strcmp(name, id) != 0) &&
            (!truth || strcmp(name, truth) != 0))
            work->features[count++] = name;
    }
    work->choice.features = work->features;
    work->choice.feature_count = count;
    return 0;
}

static int features_of_model(struct work *work)
{
    size_t count = calm_model_features(work->model);
    work->features = calloc(count, sizeof *work->features);
    if (!work->features)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        work->features[i] = calm_model_feature_name(work->model, i);
    work->choice.features = work->features;
    work->choice.feature_count = count;
    return 0;
}

static int features_choose(struct work *work, const char *id)
{
    if (work->opts->features) {
        work->choice.features = work->opts->features;
        work->choice.feature_count = count_of(work->opts->features);
    } else {
        int rc = calm_model_feature_name(work->model, 0)
                     ? features_of_model(work)
                     : features_by_default(work, id);
        if (rc < 0)
            return calm_fail(rc, "no memory for columns");
    }
    size_t count = work->choice.feature_count;
    size_t wanted = calm_model_features(work->model);
    if (count != wanted && calm__dataset_columns(work->dataset) > 0)
        return calm_fail(-EINVAL,
            "the model '%s' expects %zu features, '%s' has %zu\n"
            "hint: name the columns by --features, or those that are none by "
            "--id and --truth",
            work->opts->model, wanted, work->opts->input, count);
    /* It would be a fine accuracy. */
    for (size_t i = 0; work->opts->truth && i < count; i++)
        if (strcmp(work->choice.features[i], work->opts->truth) == 0)
            return calm_fail(-EINVAL,
                "the truth '%s' is also a feature of the model",
                work->opts->truth);
    return 0;
}

static int columns_choose(struct work *work)
{
    const calm_predict_opts *opts = work->opts;
    const char *id = id_of(work);
    work->keep_count = count_of(opts->keep);
    work->cells = calloc(work->keep_count + 3, sizeof *work->cells);
    if (!work->cells)
        return calm_fail(-ENOMEM, "no memory for columns");
    size_t count = 0;
    if ((work->has_id = id != NULL))
        work->cells[count++] = id;
    if ((work->has_truth = opts->truth != NULL))
        work->cells[count++] = opts->truth;
    for (size_t i = 0; i < work->keep_count; i++)
        work->cells[count++] = opts->keep[i];
    work->choice.cells = work->cells;
    work->choice.cell_count = count;
    work->choice.missing = opts->missing;
    int rc = features_choose(work, id);
    if (rc == 0)
        rc = calm__dataset_choose(work->dataset, &work->choice);
    work->columns = work->choice.feature_count;
    work->values = calm_model_values(work->model);
    size_t len = strlen(opts->output);
    bool json = len > 6 && strcasecmp(opts->output + len - 6, ".jsonl") == 0;
    work->answer = (struct calm__answer){.json = json,
        .csv_safe = opts->csv_safe,
        .with_row = opts->unordered,
        .id_name = id ? id : "sample_id",
        .id_is_row = !id,
        .keep = opts->keep,
        .keep_count = work->keep_count,
        .model = work->model};
    return rc;
}

/* ---- the run ---- */

static bool status_of(const char *path, int standard, struct stat *ret_status)
{
    return (strcmp(path, "-") == 0 ? fstat(standard, ret_status)
                                   : stat(path, ret_status)) == 0;
}

/* Writing to a file that is also read would lose what it was made from, or
 * feed the output to itself; by inode, because a file has many names. */
static int name_is_free(
    const calm_predict_opts *opts, const char *name, int standard)
{
    const char *const read[] = {opts->input, opts->model};
    struct stat written, other;
    if (!status_of(name, standard, &written) || !S_ISREG(written.st_mode))
        return 0;
    for (size_t i = 0; i < 2; i++)
        if (status_of(read[i], STDIN_FILENO, &other) &&
            other.st_dev == written.st_dev && other.st_ino == written.st_ino)
            return calm_fail(-EINVAL,
                "the output would be written to '%s', "
                "which is read",
                strcmp(read[i], "-") == 0 ? "standard input" : read[i]);
    return 0;
}

/* Told now and not when the first row fails. */
static int output_name_check(const char *output, size_t longest_end)
{
    const char *slash = strrchr(output, '/');
    size_t len = strlen(slash ? slash + 1 : output);
    if (len == 0)
        return calm_fail(-EINVAL, "the output '%s' has no name", output);
    if (len + longest_end > NAME_MAX)
        return calm_fail(-ENAMETOOLONG,
            "the name of the output has %zu bytes, %zu at most", len,
            NAME_MAX - longest_end);
    return 0;
}

/* The output, what it is before it is whole, and the same of the errors. */
static int output_is_free(const calm_predict_opts *opts)
{
    static const char *const ends[] = {
        "", ".calm-part", ".errors.jsonl", ".errors.jsonl.calm-part"};
    size_t count = sizeof ends / sizeof *ends;
    if (strcmp(opts->output, "-") == 0)
        return name_is_free(opts, opts->output, STDOUT_FILENO);
    int rc = output_name_check(opts->output, strlen(ends[count - 1]));
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char *name;
        if (asprintf(&name, "%s%s", opts->output, ends[i]) < 0)
            return calm_fail(-ENOMEM, "no memory for a name");
        rc = name_is_free(opts, name, /* standard= */ -1);
        free(name);
    }
    return rc;
}

static int work_open(struct work *work)
{
    const calm_predict_opts *opts = work->opts;
    struct calm__dataset_opts dataset = {.path = opts->input, .csv = opts->csv};
    struct calm__sink *sink = NULL;
    int rc = output_is_free(opts);
    if (rc == 0)
        rc = calm_model_open(opts->model,
            &(calm_model_opts){.sha256 = opts->model_sha256}, &work->model);
    if (rc == 0)
        rc = calm__dataset_open(&dataset, &work->dataset);
    if (rc == 0)
        rc = columns_choose(work);
    if (rc < 0)
        return rc;
    work->state->size = calm__dataset_size(work->dataset);
    work->state->classes = calm_model_kind(work->model) != CALM_MODEL_VALUE;
    calm_bytes head = {0};
    rc = calm__answer_head(&work->answer, &head);
    if (rc == 0)
        rc = calm__sink_open(opts->output, opts->overwrite, &sink);
    if (rc == 0) {
        work->sink = sink;
        work->state->created = true;
    }
    if (rc == 0 && strcmp(opts->output, "-") != 0 &&
        asprintf(&work->errors_path, "%s.errors.jsonl", opts->output) < 0)
        rc = calm_fail(-ENOMEM, "no memory for a name");
    if (rc == 0 && head.len > 0)
        rc = calm__sink_write(sink, &head);
    calm_bytes_clear(&head);
    return rc;
}

static int work_run(struct work *work)
{
    const calm_predict_opts *opts = work->opts;
    size_t threads = opts->threads ? opts->threads : (size_t)calm_cpu_count();
    calm_stage stages[] = {
        {.name = "preprocess",
            .fn = preprocess,
            .where = CALM_ON_CPU,
            .concurrency = threads},
        {.name = "predict",
            .fn = predict,
            .where = CALM_ON_CPU,
            .concurrency = threads},
    };
    calm_pipeline pipeline = {.source = next_batch,
        .stages = stages,
        .stage_count = 2,
        .sink = save,
        .drop = drop,
        .ctx = work,
        .unordered = opts->unordered,
        .in_flight = opts->in_flight ? opts->in_flight : 3 * threads + 2,
        .drain = opts->drain};
    return calm_pipeline_run(&pipeline);
}

/* With what a run that has died has left of them; whoever holds the part file
 * of the output owns both. */
static int errors_remove(const char *path)
{
    char *part;
    if (asprintf(&part, "%s.calm-part", path) < 0)
        return calm_fail(-ENOMEM, "no memory for a name");
    unlink(part);
    unlink(path);
    free(part);
    return 0;
}

/* The errors get their name first: a reader who sees the output also sees
 * what is missing in it. A stale list of a replaced output goes away. */
static int work_commit(struct work *work)
{
    int rc = 0;
    if (work->errors)
        rc = calm__sink_commit(work->errors);
    else if (work->errors_path)
        rc = errors_remove(work->errors_path);
    if (rc == 0)
        rc = calm__sink_commit(work->sink);
    work->state->committed = rc == 0;
    return rc;
}

static void work_close(struct work *work)
{
    while (work->spare) {
        struct batch *batch = work->spare;
        work->spare = batch->next;
        batch_free(batch);
    }
    calm__sink_close(work->sink);
    calm__sink_close(work->errors);
    calm__dataset_close(work->dataset);
    calm_model_close(work->model);
    free(work->errors_path);
    free(work->features);
    free(work->cells);
}

int calm_predict(const calm_predict_opts *opts, calm_predict_state *ret_state)
{
    *ret_state = (calm_predict_state){0};
    if (!opts->input || !opts->output || !opts->model)
        return calm_fail(-EINVAL, "an input, a model and an output are needed");
    struct work work = {.opts = opts, .state = ret_state};
    int rc = work_open(&work);
    if (rc == 0)
        rc = work_run(&work);
    if (rc == 0)
        rc = work_commit(&work);
    struct calm__error *error = calm__error_take();
    work_close(&work);
    calm__error_set(error);
    return rc;
}
