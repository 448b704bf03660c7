/* predict.c - a dataset through a model, into a file
 *
 *     cut (loop) -> prepare (CPU pool) -> predict -> answer -> save (loop)
 *
 * Batches of rows go through a pipeline, in which only the predict stage
 * differs between a model, which is computed on the CPU pool, and an API,
 * which is waited for on the loop; see ml/predictor.h.
 */
#include "ml/predictor.h"
#include "ml/selection.h"
#include "ml/sink.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/pipeline.h>
#include <calm/pool.h>
#include <calm/predict.h>
#include <calm/sync.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH_BYTES = 8 << 20, /* of the predictor's numbers */
    HELD_BYTES = 64 << 20, /* of the input, between reading and writing */
};

struct work {
    const calm_predict_opts *opts;
    calm_predict_state *state;
    struct calm__predictor *predictor;
    struct calm__dataset *dataset;
    struct calm__sink *sink;
    struct calm__sink *errors; /* opened by the first row that fails */
    char *errors_path;
    struct calm__choice choice;
    const char **cells; /* id, truth, kept, the predictor's */
    struct calm__answer answer;
    struct calm__batch *spare;
    struct calm__selection wanted;
    uint64_t position;         /* rows of the input that are behind */
    struct calm__error *ended; /* why there are no more */
    int end;                   /* its code */
    size_t ahead;              /* batches that predict() is not done with */
    size_t held;               /* bytes of the input in batches */
    calm_event moved;          /* one of the two has become less */
    bool stopping;             /* the caller was cancelled */
    bool gap; /* a batch was left, so none behind it may be written */
};

/* ---- batches ---- */

static void batch_free(struct work *work, struct calm__batch *batch)
{
    if (batch)
        work->predictor->methods->batch_close(work->predictor, batch);
    calm__batch_free(batch);
}

static struct calm__batch *batch_get(struct work *work)
{
    struct calm__batch *batch = work->spare;
    if (batch) {
        work->spare = batch->next;
        return batch;
    }
    batch = calm__batch_new(work->dataset, work->choice.cell_count);
    if (batch &&
        work->predictor->methods->batch_open(work->predictor, batch) == 0)
        return batch;
    batch_free(work, batch);
    return NULL;
}

static size_t bytes_of(const struct calm__batch *batch)
{
    size_t bytes = 0;
    for (size_t i = 0; i < batch->span_count; i++)
        bytes += batch->spans[i].block.len;
    return bytes;
}

static void batch_put(struct work *work, struct calm__batch *batch)
{
    work->held -= bytes_of(batch);
    calm_event_set(&work->moved);
    calm__batch_reset(batch);
    batch->next = work->spare;
    work->spare = batch;
}

/* ---- source ---- */

/* Rows with thousands of columns, or of a model with thousands of classes,
 * make smaller batches, so that memory stays within its bound. */
static size_t rows_wanted(const struct work *work)
{
    const struct calm__predictor *predictor = work->predictor;
    size_t most =
        work->opts->batch_size ? work->opts->batch_size : predictor->batch_size;
    size_t wide = predictor->row_size ? predictor->row_size : 1;
    size_t fit = wide < BATCH_BYTES ? BATCH_BYTES / wide : 1;
    return most < fit ? most : fit;
}

/* Takes the next rows, MOST of them, or skips them when BATCH is NULL. Returns
 * 1, 0 at the end of the input, or an error. */
static int rows_take(
    struct work *work, struct calm__batch *batch, uint64_t most)
{
    calm_csv_block block;
    struct calm__chunk *chunk;
    int rc = calm__dataset_next(work->dataset,
        most < SIZE_MAX ? (size_t)most : SIZE_MAX, &block, &chunk);
    if (rc <= 0)
        return rc;
    if (batch)
        rc = calm__batch_add(batch, &block, chunk);
    if (!batch || rc < 0)
        calm__chunk_release(work->dataset, chunk);
    if (rc >= 0)
        work->position += block.rows;
    return rc < 0 ? rc : 1;
}

/* Rows from as many chunks as it takes: but where they come one by one, from
 * a pipe, none waits for the next. Returns as rows_take(). */
static int batch_fill(struct work *work, struct calm__batch *batch)
{
    size_t most = rows_wanted(work);
    bool is_file = calm__dataset_is_file(work->dataset);
    struct calm__interval rows;
    int rc = 1;
    batch->begin = work->position;
    while (rc > 0 && batch->cut < most && (is_file || batch->cut == 0)) {
        if (!calm__selection_next(&work->wanted, work->position, &rows))
            return 0;
        uint64_t left = rows.end - rows.begin;
        if (rows.begin > work->position)
            rc = rows_take(work, NULL, rows.begin - work->position);
        else
            rc = rows_take(work, batch,
                left < most - batch->cut ? left : most - batch->cut);
        batch->end = work->position;
    }
    return rc;
}

/* Whether reading on would only fill memory: there is enough to predict, or a
 * slow batch keeps too many behind it from being written. */
static bool is_full(const struct work *work)
{
    size_t wanted = work->predictor->wanted;
    return (wanted > 0 && work->ahead >= wanted) || work->held > HELD_BYTES;
}

static int wait_for_room(struct work *work)
{
    int rc = 0;
    while (rc == 0 && is_full(work)) {
        calm_event_clear(&work->moved);
        rc = calm_event_wait(&work->moved);
    }
    return rc;
}

/* How the input ended is told when the rows before are on their way. */
static int source_end(struct work *work)
{
    calm__error_set(work->ended);
    work->ended = NULL;
    return work->end;
}

static int next_batch(void **ret_item, void *ctx)
{
    struct work *work = ctx;
    calm_predict_state *state = work->state;
    if (work->end <= 0)
        return source_end(work);
    int rc = wait_for_room(work);
    if (rc < 0)
        return rc;
    struct calm__batch *batch = batch_get(work);
    if (!batch)
        return calm_fail(-ENOMEM, "no memory for a batch");
    rc = batch_fill(work, batch);
    work->held += bytes_of(batch);
    state->bytes = calm__dataset_position(work->dataset);
    if (rc <= 0 && rc != -ECANCELED) {
        work->end = rc;
        work->ended = calm__error_take();
    }
    if (batch->cut == 0) {
        batch_put(work, batch);
        return rc == -ECANCELED ? rc : source_end(work);
    }
    work->ahead++;
    if (state->started == 0)
        state->started = calm_now();
    state->rows += batch->cut;
    state->in_flight += batch->cut;
    *ret_item = batch;
    return 1;
}

/* ---- stages ---- */

static int prepare(void *item, void *ctx)
{
    struct work *work = ctx;
    int rc = calm__batch_reserve(item);
    return rc < 0 ? rc
                  : work->predictor->methods->prepare(work->predictor, item);
}

static int predict(void *item, void *ctx)
{
    struct work *work = ctx;
    return work->predictor->methods->predict(work->predictor, item);
}

static int predict_on_loop(void *item, void *ctx)
{
    struct work *work = ctx;
    int rc = predict(item, ctx);
    work->ahead--;
    calm_event_set(&work->moved);
    return rc;
}

static int answer(void *item, void *ctx)
{
    struct work *work = ctx;
    return calm__answer_batch(&work->answer, item);
}

/* On one thread, while what was predicted is in its cache. */
static int predict_and_answer(void *item, void *ctx)
{
    int rc = predict(item, ctx);
    return rc < 0 ? rc : answer(item, ctx);
}

/* ---- sink ---- */

static int errors_write(struct work *work, const struct calm__batch *batch)
{
    if (work->opts->on_failed)
        for (size_t i = 0; i < batch->count; i++) {
            const struct calm__row *row = &batch->rows[i];
            if (row->status < 0)
                work->opts->on_failed(
                    work->opts->ctx, row->row, row->line, row->cause);
        }
    if (!work->errors_path)
        return 0;
    int rc = 0;
    if (!work->errors)
        rc = calm__sink_open(
            work->errors_path, /* overwrite= */ true, &work->errors);
    return rc < 0 ? rc : calm__sink_write(work->errors, &batch->errors);
}

/* The run is being stopped, and this batch was not predicted any more: it is
 * left for the next run, and so are those behind it where order counts. */
static int leave(struct work *work, struct calm__batch *batch)
{
    work->gap = !work->opts->unordered;
    work->state->in_flight -= batch->cut;
    batch_put(work, batch);
    return 0;
}

static int save(void *item, int code, void *ctx)
{
    struct calm__batch *batch = item;
    struct work *work = ctx;
    calm_predict_state *state = work->state;
    if (code == -ECANCELED && work->stopping)
        return leave(work, batch);
    if (code < 0)
        return code;
    if (work->gap)
        return leave(work, batch);
    int rc = 0;
    if (batch->out.len > 0)
        rc = calm__sink_write(work->sink, &batch->out);
    if (rc == 0 && batch->failed > 0)
        rc = errors_write(work, batch);
    if (rc < 0)
        return rc;
    state->ok += batch->ok;
    state->failed += batch->failed;
    state->compared += batch->quality.compared;
    state->right += batch->quality.right;
    state->squared_error += batch->quality.squared_error;
    state->in_flight -= batch->cut;
    /* Rows that were skipped as ragged are neither. */
    state->rows -= batch->cut - batch->count;
    batch_put(work, batch);
    return 0;
}

static void drop(void *item, void *ctx)
{
    batch_put(ctx, item);
}

/* What is under way goes on for a while; what has not begun need not. */
static void stop(void *ctx)
{
    struct work *work = ctx;
    work->stopping = true;
    if (work->predictor->methods->stop)
        work->predictor->methods->stop(work->predictor);
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

/* Id, truth, kept, and those that the predictor wants as text. */
static int cells_choose(struct work *work, const char *id)
{
    const calm_predict_opts *opts = work->opts;
    struct calm__predictor *predictor = work->predictor;
    size_t keep_count = work->answer.keep_count, count = 0;
    work->cells =
        calloc(keep_count + predictor->cell_count + 3, sizeof *work->cells);
    if (!work->cells)
        return calm_fail(-ENOMEM, "no memory for columns");
    if (id)
        work->cells[count++] = id;
    if (opts->truth)
        work->cells[count++] = opts->truth;
    for (size_t i = 0; i < keep_count; i++)
        work->cells[count++] = opts->keep[i];
    predictor->first_cell = count;
    for (size_t i = 0; i < predictor->cell_count; i++)
        work->cells[count++] = predictor->cells[i];
    work->choice = (struct calm__choice){.features = predictor->features,
        .feature_count = predictor->feature_count,
        .cells = work->cells,
        .cell_count = count,
        .text = predictor->text,
        .missing = opts->missing};
    return calm__dataset_choose(work->dataset, &work->choice);
}

static int columns_choose(struct work *work)
{
    const calm_predict_opts *opts = work->opts;
    struct calm__predictor *predictor = work->predictor;
    const char *id = id_of(work);
    size_t len = strlen(opts->output);
    bool json = len > 6 && strcasecmp(opts->output + len - 6, ".jsonl") == 0;
    work->answer = (struct calm__answer){.json = json,
        .csv_safe = opts->csv_safe,
        .with_row = opts->unordered,
        .id_name = id ? id : "sample_id",
        .id_is_row = !id,
        .has_truth = opts->truth != NULL,
        .keep = opts->keep,
        .keep_count = count_of(opts->keep),
        .predictor = predictor};
    int rc = predictor->methods->choose(predictor, work->dataset, id);
    work->answer.json |= predictor->lines;
    return rc < 0 ? rc : cells_choose(work, id);
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
        if (read[i] && status_of(read[i], STDIN_FILENO, &other) &&
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
        rc = opts->remote.url ? calm__predictor_remote_open(
                                    opts, work->state, &work->predictor)
                              : calm__predictor_model_open(
                                    opts, work->state, &work->predictor);
    if (rc == 0)
        rc = calm__dataset_open(&dataset, &work->dataset);
    if (rc == 0)
        rc = columns_choose(work);
    if (rc < 0)
        return rc;
    work->state->size = calm__dataset_size(work->dataset);
    work->state->classes = work->predictor->classes;
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
    const struct calm__predictor *predictor = work->predictor;
    size_t threads = opts->threads ? opts->threads : (size_t)calm_cpu_count();
    size_t at_once = predictor->concurrency ? predictor->concurrency : threads;
    bool computes = predictor->where == CALM_ON_CPU;
    calm_stage stages[] = {
        {.name = "prepare",
            .fn = prepare,
            .where = CALM_ON_CPU,
            .concurrency = threads},
        {.name = "predict",
            .fn = computes ? predict_and_answer : predict_on_loop,
            .where = predictor->where,
            .concurrency = at_once},
        {.name = "answer",
            .fn = answer,
            .where = CALM_ON_CPU,
            .concurrency = threads},
    };
    size_t in_flight = opts->in_flight ? opts->in_flight : predictor->in_flight;
    calm_pipeline pipeline = {.source = next_batch,
        .stages = stages,
        .stage_count = computes ? 2 : 3,
        .sink = save,
        .drop = drop,
        .stop = stop,
        .ctx = work,
        .unordered = opts->unordered,
        .in_flight = in_flight ? in_flight : 2 * threads + at_once + 2,
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
        struct calm__batch *batch = work->spare;
        work->spare = batch->next;
        batch_free(work, batch);
    }
    calm__sink_close(work->sink);
    calm__sink_close(work->errors);
    calm__dataset_close(work->dataset);
    calm__selection_clear(&work->wanted);
    calm__error_free(work->ended);
    if (work->predictor)
        work->predictor->methods->close(work->predictor);
    free(work->errors_path);
    free(work->cells);
}

int calm_predict(const calm_predict_opts *opts, calm_predict_state *ret_state)
{
    *ret_state = (calm_predict_state){0};
    if (!opts->input || !opts->output || !opts->model == !opts->remote.url)
        return calm_fail(-EINVAL,
            "an input, an output, and a model or a URL are needed");
    struct work work = {.opts = opts, .state = ret_state, .end = 1};
    int rc = calm__selection_add(
        &work.wanted, 0, opts->limit ? opts->limit : CALM__ALL_ROWS);
    if (rc == 0)
        rc = work_open(&work);
    if (rc == 0)
        rc = work_run(&work);
    if (rc == 0)
        rc = work_commit(&work);
    struct calm__error *error = calm__error_take();
    work_close(&work);
    calm__error_set(error);
    return rc;
}
