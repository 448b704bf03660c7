/* predict.c - a dataset through a model, into a file
 *
 *     cut (loop) -> prepare (CPU pool) -> predict -> answer -> save (loop)
 *
 * Batches of rows go through a pipeline, in which only the predict stage
 * differs between a model, which is computed on the CPU pool, and an API,
 * which is waited for on the loop; see ml/predictor.h.
 */
#include "ml/outputs.h"
#include "ml/predictor.h"
#include "ml/retry_failed.h"
#include "ml/run_identity.h"
#include "ml/selection.h"

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
    HELD_BYTES = 64 << 20, /* between reading and writing */
    LARGE_BATCH = 1024,    /* rows */
};

struct work {
    const calm_predict_opts *opts;
    calm_predict_state *state;
    struct calm__predictor *predictor;
    struct calm__dataset *dataset;
    struct calm__outputs outputs;
    struct calm__choice choice;
    const char **cells; /* id, truth, kept, the predictor's */
    struct calm__answer answer;
    struct calm__batch *spare;
    struct calm__selection wanted;
    uint64_t position;         /* rows of the input that are behind */
    struct calm__error *ended; /* why there are no more */
    int end;                   /* its code */
    size_t ahead;              /* batches that predict() is not done with */
    size_t held;               /* bytes of input and output in batches */
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

static void hold(struct work *work, struct calm__batch *batch, size_t bytes)
{
    work->held += bytes - batch->held;
    batch->held = bytes;
    calm_event_set(&work->predictor->moved);
}

static void batch_put(struct work *work, struct calm__batch *batch)
{
    hold(work, batch, 0);
    if (!batch->reader) { /* what was left by a parting */
        calm__batch_free(batch);
        return;
    }
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
        calm_event_clear(&work->predictor->moved);
        rc = calm_event_wait(&work->predictor->moved);
    }
    return rc;
}

static int next_batch(void **ret_item, void *ctx)
{
    struct work *work = ctx;
    calm_predict_state *state = work->state;
    if (work->end <= 0)
        return 0;
    int rc = wait_for_room(work);
    if (rc < 0)
        return rc;
    struct calm__batch *batch = batch_get(work);
    if (!batch)
        return calm_fail(-ENOMEM, "no memory for a batch");
    rc = batch_fill(work, batch);
    hold(work, batch, bytes_of(batch));
    state->bytes = calm__dataset_position(work->dataset);
    if (rc <= 0 && rc != -ECANCELED) {
        if (rc == 0)
            work->outputs.mark.rows = work->outputs.merge
                                          ? work->outputs.merge->count
                                          : work->position;
        work->end = rc;
        work->ended = calm__error_take();
    }
    if (batch->cut == 0) {
        batch_put(work, batch);
        return rc == -ECANCELED ? rc : 0;
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

static int answer(void *item, void *ctx)
{
    struct work *work = ctx;
    return calm__answer_batch(&work->answer, item);
}

struct answering {
    struct work *work;
    struct calm__batch *batch;
};

static int answering_run(void *arg)
{
    struct answering *answering = arg;
    return answer(answering->batch, answering->work);
}

/* What waits for slower ones in front keeps no more than its output. Large
 * ones are put into words elsewhere, or the loop would stand. */
static int predict_on_loop(void *item, void *ctx)
{
    struct work *work = ctx;
    struct calm__batch *batch = item;
    struct answering answering = {work, batch};
    int rc = predict(item, ctx);
    if (rc == 0)
        rc = batch->count > LARGE_BATCH ? calm_cpu(answering_run, &answering)
                                        : answer(batch, work);
    work->ahead--;
    struct calm__batch *rest = rc < 0 ? NULL : calm__batch_part(batch);
    if (rest) {
        rest->next = work->spare;
        work->spare = rest;
        hold(work, batch, batch->out.len + batch->errors.len);
    }
    calm_event_set(&work->predictor->moved);
    return rc;
}

/* On one thread, while what was predicted is in its cache. */
static int predict_and_answer(void *item, void *ctx)
{
    int rc = predict(item, ctx);
    return rc < 0 ? rc : answer(item, ctx);
}

/* ---- sink ---- */

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
    int rc = calm__outputs_save(&work->outputs, batch);
    if (rc < 0)
        return rc;
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
    const char *end = strrchr(opts->output, '.');
    bool json = end && (strcasecmp(end, ".jsonl") == 0 ||
                           strcasecmp(end, ".ndjson") == 0);
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

/* Which rows had failed: only those are wanted. Where a run has done them all
 * and died before the last name was given, there is nothing to look up.
 * Returns 1, or 0 when no row had failed. */
static int failed_find(struct work *work, const calm_bytes *head)
{
    struct calm__outputs *outputs = &work->outputs;
    const struct calm__journal_contents *found = outputs->found;
    bool other = found && found->has_head && !found->head.retry;
    if (other || (found && found->last.complete))
        return 1;
    int rc = calm__retry_failed_open(
        &work->answer, outputs->errors_path, head, &outputs->merge);
    if (rc == 0)
        calm__outputs_note(
            outputs, "no row of '%s' has failed", work->opts->output);
    if (rc <= 0)
        return rc;
    struct calm__selection all = work->wanted;
    work->wanted = outputs->merge->rows;
    outputs->merge->rows = all;
    return 1;
}

/* What earlier runs have done is not wanted any more. */
static int done_leave(struct work *work, const struct calm__selection *done)
{
    struct calm__selection rest;
    int rc = calm__selection_without(&work->wanted, done, &rest);
    if (rc < 0)
        return rc;
    calm__selection_clear(&work->wanted);
    work->wanted = rest;
    return 0;
}

/* The copy of the output before goes on where it was. In any order what is
 * new comes behind all of it. */
static int merge_begin(struct work *work)
{
    struct calm__outputs *outputs = &work->outputs;
    int rc = calm__merge_skip(outputs->merge, outputs->mark.merged);
    return rc == 0 && work->opts->unordered ? calm__outputs_copy_rest(outputs)
                                            : rc;
}

/* Returns 1, or 0 when there is nothing to do. */
static int outputs_open(struct work *work, struct calm__outputs_plan *plan)
{
    struct calm__outputs *outputs = &work->outputs;
    struct calm__selection done = {0};
    int rc = calm__outputs_find(outputs);
    if (rc == 0 && plan->can_resume)
        rc = calm__run_identity(&work->answer, work->dataset, plan->identity);
    if (rc == 0)
        rc = work->opts->retry_failed ? failed_find(work, plan->head) : 1;
    if (rc <= 0)
        return rc;
    if (outputs->merge)
        calm__identity_number(plan->identity, CALM__IDENTITY_BEFORE, "output",
            outputs->merge->hash);
    rc = calm__outputs_open(outputs, plan, &done);
    if (rc == 0 && done.count > 0)
        rc = done_leave(work, &done);
    if (rc == 0 && outputs->merge)
        rc = merge_begin(work);
    calm__selection_clear(&done);
    return rc < 0 ? rc : 1;
}

static int retry_check(
    const struct work *work, const struct calm__outputs_plan *plan)
{
    const calm_predict_opts *opts = work->opts;
    if (!opts->retry_failed)
        return 0;
    if (opts->overwrite)
        return calm_fail(
            -EINVAL, "--retry-failed and --overwrite exclude each other");
    if (!plan->can_resume || !work->outputs.errors_path)
        return calm_fail(-EINVAL,
            "--retry-failed needs an input and an output that are files");
    if (work->predictor->lines)
        return calm_fail(-EINVAL,
            "--retry-failed does not know which line of the Batch format has "
            "failed\nhint: put those lines into an input of their own");
    return 0;
}

static int outputs_plan(struct work *work)
{
    calm_bytes head = {0};
    struct calm__identity identity = {0};
    struct calm__outputs_plan plan = {.head = &head,
        .identity = &identity,
        .can_resume = calm__dataset_is_file(work->dataset) &&
                      strcmp(work->opts->input, "-") != 0};
    int rc = retry_check(work, &plan);
    if (rc == 0)
        rc = calm__answer_head(&work->answer, &head);
    if (rc == 0)
        rc = outputs_open(work, &plan);
    calm__identity_clear(&identity);
    calm_bytes_clear(&head);
    return rc;
}

/* Returns 1, or 0 when there is nothing to do. */
static int work_open(struct work *work)
{
    const calm_predict_opts *opts = work->opts;
    struct calm__dataset_opts dataset = {.path = opts->input, .csv = opts->csv};
    int rc = calm__outputs_check(&work->outputs, opts, work->state);
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
    return outputs_plan(work);
}

static int pipeline_run(struct work *work)
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
    };
    size_t in_flight = opts->in_flight ? opts->in_flight : predictor->in_flight;
    calm_pipeline pipeline = {.source = next_batch,
        .stages = stages,
        .stage_count = sizeof stages / sizeof *stages,
        .sink = save,
        .drop = drop,
        .stop = stop,
        .ctx = work,
        .unordered = opts->unordered,
        .in_flight = in_flight ? in_flight : 2 * threads + at_once + 2,
        .drain = opts->drain};
    int rc = calm_pipeline_run(&pipeline);
    if (rc < 0 || work->end > 0)
        return rc;
    /* An input that cannot be read to its end fails when the rows before that
     * are saved. */
    calm__error_set(work->ended);
    work->ended = NULL;
    return work->end;
}

/* The pipeline, beside it the commits; the failure of one ends the other.
 * What was saved before an end of any kind is kept. */
static int work_run(struct work *work)
{
    struct calm__outputs *outputs = &work->outputs;
    if (outputs->finished)
        return 0;
    if (!outputs->journal)
        return pipeline_run(work);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, calm__outputs_work, outputs);
    int rc = pipeline_run(work);
    if (rc == 0 && outputs->merge)
        rc = calm__outputs_copy_rest(outputs);
    calm__outputs_stop(outputs);
    rc = calm_group_end(&group, rc);
    if (rc == 0)
        return 0;
    struct calm__error *error = calm__error_take();
    if (calm__outputs_settle(outputs) < 0)
        calm_error_clear();
    calm__error_set(error);
    return rc;
}

static void work_close(struct work *work)
{
    while (work->spare) {
        struct calm__batch *batch = work->spare;
        work->spare = batch->next;
        batch_free(work, batch);
    }
    calm__outputs_close(&work->outputs);
    calm__dataset_close(work->dataset);
    calm__selection_clear(&work->wanted);
    calm__error_free(work->ended);
    if (work->predictor)
        work->predictor->methods->close(work->predictor);
    free(work->cells);
}

int calm_predict(const calm_predict_opts *opts, calm_predict_state *ret_state)
{
    *ret_state = (calm_predict_state){0};
    if (!opts->input || !opts->output || !opts->model == !opts->remote.url)
        return calm_fail(
            -EINVAL, "an input, an output, and a model or a URL are needed");
    struct work work = {.opts = opts, .state = ret_state, .end = 1};
    int rc = calm__selection_add(
        &work.wanted, 0, opts->limit ? opts->limit : CALM__ALL_ROWS);
    if (rc == 0)
        rc = work_open(&work);
    if (rc == 0)
        ret_state->committed = true;
    if (rc > 0)
        rc = work_run(&work);
    if (rc == 0 && !ret_state->committed)
        rc = calm__outputs_finish(&work.outputs);
    struct calm__error *error = calm__error_take();
    work_close(&work);
    calm__error_set(error);
    return rc;
}
