/* batcher.c - rows of many requests, predicted together
 *
 * What a batch consists of, by an example with MOST = 4:
 *
 *     queue     job A: 3 rows     job B: 6 rows          job C: 1 row
 *     batches   [A A A B]  [B B B B]  [B C]
 *
 * A job of which nothing is left to take leaves the queue; it is done when
 * what was taken is predicted. Its matrix and values are its caller's, who
 * therefore waits for that also when cancelled.
 */
#include "ml/batcher.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/pool.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const size_t calm__batch_sizes[CALM__BATCH_SIZES] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, SIZE_MAX};

struct calm__batch_job {
    struct calm__batch_job *next, *previous; /* while QUEUED */
    const float *matrix;
    float *values;
    size_t rows, taken, predicted;
    int64_t since;
    bool queued;
    int code; /* of the first part that failed */
    char *message;
    calm_event woken; /* done, or the first and worth a look */
};

/* A run of rows of one job. */
struct piece {
    struct calm__batch_job *job;
    const float *matrix;
    float *values;
    size_t rows;
    int code;
    char *message; /* from malloc(), or NULL */
};

struct calm__batch {
    struct calm__batch *next;
    struct calm__batcher *batcher;
    size_t rows, count;
    int64_t started, ended;
    float *matrix, *values; /* for MOST rows; not needed for a single piece */
    struct piece pieces[];  /* MOST */
};

/* ---- batches ---- */

static void batch_free(struct calm__batch *batch)
{
    free(batch->matrix);
    free(batch->values);
    free(batch);
}

static struct calm__batch *batch_get(struct calm__batcher *batcher)
{
    struct calm__batch *batch = batcher->spare;
    if (batch) {
        batcher->spare = batch->next;
        return batch;
    }
    size_t matrix = batcher->most * batcher->columns;
    size_t values = batcher->most * batcher->values;
    batch = calm__alloc(sizeof *batch + batcher->most * sizeof *batch->pieces);
    if (!batch)
        return NULL;
    *batch = (struct calm__batch){.batcher = batcher};
    batch->matrix = calm__alloc((matrix + 1) * sizeof *batch->matrix);
    batch->values = calm__alloc((values + 1) * sizeof *batch->values);
    if (batch->matrix && batch->values)
        return batch;
    batch_free(batch);
    return NULL;
}

static void batch_put(struct calm__batch *batch)
{
    batch->next = batch->batcher->spare;
    batch->batcher->spare = batch;
}

/* ---- the queue ---- */

static void queue_add(
    struct calm__batcher *batcher, struct calm__batch_job *job)
{
    job->previous = batcher->last;
    job->next = NULL;
    if (batcher->last)
        batcher->last->next = job;
    else
        batcher->first = job;
    batcher->last = job;
    job->queued = true;
    batcher->waiting += job->rows;
}

/* Rows that were not taken are not waited for any more. */
static void queue_remove(
    struct calm__batcher *batcher, struct calm__batch_job *job)
{
    if (!job->queued)
        return;
    if (job->previous)
        job->previous->next = job->next;
    else
        batcher->first = job->next;
    if (job->next)
        job->next->previous = job->previous;
    else
        batcher->last = job->previous;
    job->queued = false;
    batcher->waiting -= job->rows - job->taken;
}

/* Lets the one who has waited longest look whether it is time. */
static void first_wake(struct calm__batcher *batcher)
{
    if (batcher->first)
        calm_event_set(&batcher->first->woken);
}

static void batch_take(
    struct calm__batch *batch, struct calm__batch_job *job, size_t rows)
{
    struct calm__batcher *batcher = batch->batcher;
    batch->pieces[batch->count++] = (struct piece){.job = job,
        .matrix = job->matrix + job->taken * batcher->columns,
        .values = job->values + job->taken * batcher->values,
        .rows = rows};
    batch->rows += rows;
    batcher->waiting -= rows;
    job->taken += rows;
    if (job->taken == job->rows)
        queue_remove(batcher, job);
}

static void batch_fill(struct calm__batch *batch)
{
    struct calm__batcher *batcher = batch->batcher;
    batch->rows = batch->count = 0;
    while (batcher->first && batch->rows < batcher->most) {
        struct calm__batch_job *job = batcher->first;
        size_t room = batcher->most - batch->rows;
        size_t left = job->rows - job->taken;
        batch_take(batch, job, left < room ? left : room);
    }
}

/* ---- predicting, on the CPU pool ---- */

static void predict_piece(struct calm__batch *batch, struct piece *piece)
{
    struct calm__batcher *batcher = batch->batcher;
    piece->code = batcher->predict(
        batcher->ctx, piece->matrix, piece->rows, piece->values);
    if (piece->code < 0)
        piece->message = strdup(calm_message(piece->code));
}

/* Several pieces are copied into one matrix. If the model refuses that, each
 * is tried alone: only those fail that are to blame. */
static int batch_predict(void *arg)
{
    struct calm__batch *batch = arg;
    struct calm__batcher *batcher = batch->batcher;
    size_t columns = batcher->columns, values = batcher->values, row = 0;
    int rc = -EAGAIN;
    batch->started = calm_now();
    for (size_t i = 0; batch->count > 1 && i < batch->count; i++) {
        const struct piece *piece = &batch->pieces[i];
        memcpy(batch->matrix + row * columns, piece->matrix,
            piece->rows * columns * sizeof *batch->matrix);
        row += piece->rows;
    }
    if (batch->count > 1)
        rc = batcher->predict(
            batcher->ctx, batch->matrix, batch->rows, batch->values);
    row = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct piece *piece = &batch->pieces[i];
        if (rc < 0)
            predict_piece(batch, piece);
        else
            memcpy(piece->values, batch->values + row * values,
                piece->rows * values * sizeof *batch->values);
        row += piece->rows;
    }
    batch->ended = calm_now();
    calm_error_clear();
    return 0;
}

/* ---- leading ---- */

static void count_batch(const struct calm__batch *batch)
{
    struct calm__batcher *batcher = batch->batcher;
    size_t size = 0;
    while (batch->rows > calm__batch_sizes[size])
        size++;
    batcher->of_size[size]++;
    batcher->batches++;
    batcher->rows += batch->rows;
    batcher->predicting += batch->ended - batch->started;
}

/* Hands a piece's fate to its job. A job that failed wants no more. */
static void piece_deliver(
    struct calm__batcher *batcher, struct piece *piece, int rc)
{
    struct calm__batch_job *job = piece->job;
    int code = rc < 0 ? rc : piece->code;
    if (code < 0 && job->code == 0) {
        job->code = code;
        job->message = piece->message;
        piece->message = NULL;
        queue_remove(batcher, job);
    }
    free(piece->message);
    job->predicted += piece->rows;
    if (!job->queued && job->predicted == job->taken)
        calm_event_set(&job->woken);
}

/* Predicts a batch from the front of the queue. No cancel of the one who leads
 * may touch the others, and a prediction takes but a moment. */
static int lead(struct calm__batcher *batcher)
{
    struct calm__batch *batch = batch_get(batcher);
    if (!batch)
        return calm_fail(-ENOMEM, "no memory for a batch");
    batch_fill(batch);
    batcher->busy++;
    first_wake(batcher); /* it may be worth another thread */
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = calm_cpu(batch_predict, batch);
    calm_shield_end(&shield);
    batcher->busy--;
    if (rc == 0)
        count_batch(batch);
    for (size_t i = 0; i < batch->count; i++)
        piece_deliver(batcher, &batch->pieces[i], rc);
    batch_put(batch);
    first_wake(batcher);
    return 0;
}

static bool is_time(const struct calm__batcher *batcher)
{
    if (!batcher->first || batcher->busy >= batcher->threads)
        return false;
    return batcher->busy == 0 || batcher->waiting >= batcher->most ||
           calm_now() - batcher->first->since >= batcher->delay;
}

/* ---- waiting ---- */

static bool is_done(const struct calm__batch_job *job)
{
    return !job->queued && job->predicted == job->taken;
}

/* Waits until the job is done, or it may be time for a batch. */
static int wait(struct calm__batcher *batcher, struct calm__batch_job *job)
{
    calm_event_clear(&job->woken);
    if (!job->queued || batcher->busy >= batcher->threads)
        return calm_event_wait(&job->woken);
    calm_timeout timeout;
    calm_timeout_begin_at(&timeout, job->since + batcher->delay);
    int rc = calm_timeout_end(&timeout, calm_event_wait(&job->woken));
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* What was taken of it is waited for in any case. */
static void abandon(struct calm__batcher *batcher, struct calm__batch_job *job)
{
    calm_shield shield;
    bool first = batcher->first == job;
    queue_remove(batcher, job);
    if (first)
        first_wake(batcher);
    calm_shield_begin(&shield);
    while (!is_done(job)) {
        calm_event_clear(&job->woken);
        calm_event_wait(&job->woken);
    }
    calm_shield_end(&shield);
}

/* At first the others that came in the same turn of the loop are let in. */
static int take_part(struct calm__batcher *batcher, struct calm__batch_job *job)
{
    int rc = calm_checkpoint();
    while (rc == 0 && !is_done(job)) {
        rc = is_time(batcher) ? lead(batcher) : wait(batcher, job);
        if (rc == 0 && !is_done(job) && calm_cancelled())
            rc = -ECANCELED;
    }
    if (rc < 0)
        abandon(batcher, job);
    return rc;
}

int calm__batcher_predict(struct calm__batcher *batcher, const float *matrix,
    size_t rows, float *ret_values)
{
    if (batcher->waiting > 0 && (batcher->waiting >= batcher->queue ||
                                    rows > batcher->queue - batcher->waiting)) {
        batcher->rejected++;
        return calm_fail(-EBUSY, "%zu rows wait already", batcher->waiting);
    }
    struct calm__batch_job job = {.matrix = matrix,
        .values = ret_values,
        .rows = rows,
        .since = calm_now()};
    queue_add(batcher, &job);
    int rc = take_part(batcher, &job);
    if (rc == 0 && job.code < 0)
        rc = calm_fail(job.code, "%s",
            job.message ? job.message : "the prediction failed");
    free(job.message);
    return rc;
}

/* ---- life ---- */

void calm__batcher_init(struct calm__batcher *batcher)
{
    /* A batch must be possible in memory, however wide a row is. */
    size_t wide = batcher->columns + batcher->values + 1;
    size_t fit = ((size_t)16 << 20) / wide;
    if (batcher->most > fit)
        batcher->most = fit > 0 ? fit : 1;
}

void calm__batcher_clear(struct calm__batcher *batcher)
{
    while (batcher->spare) {
        struct calm__batch *batch = batcher->spare;
        batcher->spare = batch->next;
        batch_free(batch);
    }
}
