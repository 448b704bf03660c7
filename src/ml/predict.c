/* predict.c - a dataset through a model, into a file
 *
 *     cut (loop) -> prepare (CPU pool) -> predict -> answer -> save (loop)
 *
 * Batches of rows go through a pipeline, in which only the predict stage
 * differs between a model, which is computed on the CPU pool, and an API,
 * which is waited for on the loop; see ml/predictor.h.
 */
#include "ml/run.h"

#include "base/error.h"

#include <calm/pool.h>

#include <errno.h>
#include <stdlib.h>

enum {
    BATCH_BYTES = 8 << 20, /* of the predictor's numbers, and of input */
    HELD_BYTES = 64 << 20, /* between reading and writing */
    LARGE_BATCH = 1024,    /* rows */
};

/* ---- batches ---- */

static void batch_free(struct calm__run *run, struct calm__batch *batch)
{
    if (batch)
        run->predictor->methods->batch_close(run->predictor, batch);
    calm__batch_free(batch);
}

static struct calm__batch *batch_get(struct calm__run *run)
{
    struct calm__batch *batch = run->spare;
    if (batch) {
        run->spare = batch->next;
        return batch;
    }
    batch = calm__batch_new(run->dataset, run->choice.cell_count);
    if (batch &&
        run->predictor->methods->batch_open(run->predictor, batch) == 0)
        return batch;
    batch_free(run, batch);
    return NULL;
}

/* What a span keeps from being used again: all of its chunk, of which a few
 * rows may be wanted. The first chunk is shared with the batch before. */
static size_t span_bytes(const struct calm__batch *batch, size_t i)
{
    const struct calm__span *span = &batch->spans[i];
    return i > 0 && span->chunk != span[-1].chunk ? span->chunk->capacity
                                                  : span->block.len;
}

static void hold(struct calm__run *run, struct calm__batch *batch, size_t bytes)
{
    run->held += bytes - batch->held;
    batch->held = bytes;
    calm_event_set(&run->predictor->moved);
}

static void batch_put(struct calm__run *run, struct calm__batch *batch)
{
    hold(run, batch, 0);
    if (!batch->reader) { /* what was left by a parting */
        calm__batch_free(batch);
        return;
    }
    calm__batch_reset(batch);
    batch->next = run->spare;
    run->spare = batch;
}

/* ---- source ---- */

/* Rows with thousands of columns, or of a model with thousands of classes,
 * make smaller batches, so that memory stays within its bound. */
static size_t rows_wanted(const struct calm__run *run)
{
    const struct calm__predictor *predictor = run->predictor;
    size_t most =
        run->opts->batch_size ? run->opts->batch_size : predictor->batch_size;
    size_t wide = predictor->row_size ? predictor->row_size : 1;
    size_t fit = wide < BATCH_BYTES ? BATCH_BYTES / wide : 1;
    return most < fit ? most : fit;
}

/* Takes the next rows, MOST of them, or skips them when BATCH is NULL. Returns
 * 1, 0 at the end of the input, or an error. */
static int rows_take(
    struct calm__run *run, struct calm__batch *batch, uint64_t most)
{
    calm_csv_block block;
    struct calm__chunk *chunk;
    int rc = calm__dataset_next(run->dataset,
        most < SIZE_MAX ? (size_t)most : SIZE_MAX, &block, &chunk);
    if (rc <= 0)
        return rc;
    if (batch)
        rc = calm__batch_add(batch, &block, chunk);
    if (!batch || rc < 0)
        calm__chunk_release(run->dataset, chunk);
    if (rc >= 0)
        run->position += block.rows;
    return rc < 0 ? rc : 1;
}

/* Rows from as many chunks as it takes, within the bound of a batch: but where
 * they come one by one, from a pipe, none waits for the next. RET_BYTES gets
 * what they hold. Returns as rows_take(). */
static int batch_fill(
    struct calm__run *run, struct calm__batch *batch, size_t *ret_bytes)
{
    size_t most = rows_wanted(run);
    bool is_file = calm__dataset_is_file(run->dataset);
    struct calm__interval rows;
    int rc = 1;
    batch->begin = run->position;
    *ret_bytes = 0;
    while (rc > 0 && (batch->cut == 0 || (is_file && batch->cut < most &&
                                             *ret_bytes < BATCH_BYTES))) {
        if (!calm__selection_next(&run->wanted, run->position, &rows))
            return 0;
        uint64_t left = rows.end - rows.begin;
        size_t spans = batch->span_count;
        if (rows.begin > run->position)
            rc = rows_take(run, NULL, rows.begin - run->position);
        else
            rc = rows_take(run, batch,
                left < most - batch->cut ? left : most - batch->cut);
        if (batch->span_count > spans)
            *ret_bytes += span_bytes(batch, spans);
        batch->end = run->position;
    }
    return rc;
}

/* Whether reading on would only fill memory: there is enough to predict, or a
 * slow batch keeps too many behind it from being written. */
static bool is_full(const struct calm__run *run)
{
    size_t wanted = run->predictor->wanted;
    return (wanted > 0 && run->ahead >= wanted) || run->held > HELD_BYTES;
}

static int wait_for_room(struct calm__run *run)
{
    int rc = 0;
    while (rc == 0 && is_full(run)) {
        calm_event_clear(&run->predictor->moved);
        rc = calm_event_wait(&run->predictor->moved);
    }
    return rc;
}

static int next_batch(void **ret_item, void *ctx)
{
    struct calm__run *run = ctx;
    calm_predict_state *state = run->state;
    if (run->end <= 0)
        return 0;
    int rc = wait_for_room(run);
    if (rc < 0)
        return rc;
    struct calm__batch *batch = batch_get(run);
    if (!batch)
        return calm_fail(-ENOMEM, "no memory for a batch");
    size_t bytes;
    rc = batch_fill(run, batch, &bytes);
    hold(run, batch, bytes);
    state->bytes = calm__dataset_position(run->dataset);
    if (rc <= 0 && rc != -ECANCELED) {
        if (rc == 0)
            run->outputs.mark.rows =
                run->outputs.merge ? run->outputs.merge->count : run->position;
        state->whole = rc == 0;
        run->end = rc;
        run->ended = calm__error_take();
    }
    if (batch->cut == 0) {
        batch_put(run, batch);
        return rc == -ECANCELED ? rc : 0;
    }
    run->ahead++;
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
    struct calm__run *run = ctx;
    int rc = calm__batch_reserve(item);
    return rc < 0 ? rc : run->predictor->methods->prepare(run->predictor, item);
}

static int predict(void *item, void *ctx)
{
    struct calm__run *run = ctx;
    return run->predictor->methods->predict(run->predictor, item);
}

static int answer(void *item, void *ctx)
{
    struct calm__run *run = ctx;
    return calm__answer_batch(&run->answer, item);
}

struct answering {
    struct calm__run *run;
    struct calm__batch *batch;
};

static int answering_run(void *arg)
{
    struct answering *answering = arg;
    return answer(answering->batch, answering->run);
}

/* What waits for slower ones in front keeps no more than its output. Large
 * ones are put into words elsewhere, or the loop would stand. */
static int predict_on_loop(void *item, void *ctx)
{
    struct calm__run *run = ctx;
    struct calm__batch *batch = item;
    struct answering answering = {run, batch};
    int rc = predict(item, ctx);
    if (rc == 0)
        rc = batch->count > LARGE_BATCH ? calm_cpu(answering_run, &answering)
                                        : answer(batch, run);
    run->ahead--;
    struct calm__batch *rest = rc < 0 ? NULL : calm__batch_part(batch);
    if (rest) {
        rest->next = run->spare;
        run->spare = rest;
        hold(run, batch, batch->out.len + batch->errors.len);
    }
    calm_event_set(&run->predictor->moved);
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
static int leave(struct calm__run *run, struct calm__batch *batch)
{
    run->gap = !run->opts->unordered;
    run->state->in_flight -= batch->cut;
    batch_put(run, batch);
    return 0;
}

static int save(void *item, int code, void *ctx)
{
    struct calm__batch *batch = item;
    struct calm__run *run = ctx;
    calm_predict_state *state = run->state;
    if (code == -ECANCELED && run->stopping)
        return leave(run, batch);
    if (code < 0)
        return code;
    if (run->gap)
        return leave(run, batch);
    int rc = calm__outputs_save(&run->outputs, batch);
    if (rc < 0)
        return rc;
    state->in_flight -= batch->cut;
    /* Rows that were skipped as ragged are neither. */
    state->rows -= batch->cut - batch->count;
    batch_put(run, batch);
    return 0;
}

static void drop(void *item, void *ctx)
{
    batch_put(ctx, item);
}

/* What is under way goes on for a while; what has not begun need not. */
static void stop(void *ctx)
{
    struct calm__run *run = ctx;
    run->stopping = true;
    if (run->predictor->methods->stop)
        run->predictor->methods->stop(run->predictor);
}

/* ---- the run ---- */

static int pipeline_run(struct calm__run *run)
{
    const calm_predict_opts *opts = run->opts;
    const struct calm__predictor *predictor = run->predictor;
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
        .ctx = run,
        .unordered = opts->unordered,
        .in_flight = in_flight ? in_flight : 2 * threads + at_once + 2,
        .drain = opts->drain};
    int rc = calm_pipeline_run(&pipeline);
    if (rc < 0 || run->end > 0)
        return rc;
    /* An input that cannot be read to its end fails when the rows before that
     * are saved. */
    calm__error_set(run->ended);
    run->ended = NULL;
    return run->end;
}

/* The pipeline, beside it the commits; the failure of one ends the other.
 * What was saved before an end of any kind is kept. */
static int run_all(struct calm__run *run)
{
    struct calm__outputs *outputs = &run->outputs;
    if (outputs->finished)
        return 0;
    if (!outputs->journal)
        return pipeline_run(run);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, calm__outputs_work, outputs);
    int rc = pipeline_run(run);
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

static void run_close(struct calm__run *run)
{
    while (run->spare) {
        struct calm__batch *batch = run->spare;
        run->spare = batch->next;
        batch_free(run, batch);
    }
    calm__outputs_close(&run->outputs);
    calm__dataset_close(run->dataset);
    calm__selection_clear(&run->wanted);
    calm__error_free(run->ended);
    if (run->predictor)
        run->predictor->methods->close(run->predictor);
    free(run->cells);
}

int calm_predict(const calm_predict_opts *opts, calm_predict_state *ret_state)
{
    *ret_state = (calm_predict_state){0};
    if (!opts->input || !opts->output || !opts->model == !opts->remote.url)
        return calm_fail(
            -EINVAL, "an input, an output, and a model or a URL are needed");
    struct calm__run run = {.opts = opts, .state = ret_state, .end = 1};
    int rc = calm__selection_add(
        &run.wanted, 0, opts->limit ? opts->limit : CALM__ALL_ROWS);
    if (rc == 0)
        rc = calm__run_open(&run);
    if (rc == 0)
        ret_state->committed = true;
    if (rc > 0)
        rc = run_all(&run);
    if (rc == 0 && !ret_state->committed)
        rc = calm__outputs_finish(&run.outputs);
    struct calm__error *error = calm__error_take();
    run_close(&run);
    calm__error_set(error);
    return rc;
}
