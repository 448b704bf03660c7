/* outputs.c - what a run leaves: saving, and the names at the end */
#include "ml/outputs.h"

#include "base/error.h"

#include <calm/pool.h>
#include <calm/time.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- saving ---- */

int calm__outputs_open_errors(
    struct calm__outputs *outputs, const struct calm__journal_file *kept)
{
    return calm__sink_open(
        &(struct calm__sink_opts){.path = outputs->errors_path,
            .overwrite = true,
            .marked = outputs->journal != NULL,
            .kept = kept},
        &outputs->errors);
}

static int errors_write(
    struct calm__outputs *outputs, const struct calm__batch *batch)
{
    const calm_predict_opts *opts = outputs->opts;
    for (size_t i = 0; opts->on_failed && i < batch->count; i++) {
        const struct calm__row *row = &batch->rows[i];
        if (row->status < 0)
            opts->on_failed(opts->ctx, row->row, row->line, row->cause);
    }
    if (!outputs->errors_path)
        return 0;
    int rc = 0;
    if (!outputs->errors)
        rc = calm__outputs_open_errors(outputs, /* kept= */ NULL);
    return rc < 0 ? rc : calm__sink_write(outputs->errors, &batch->errors);
}

/* The counts belong to the mark, so that those of a run that is resumed go on
 * from there. */
static void count(
    struct calm__outputs *outputs, const struct calm__batch *batch)
{
    calm_predict_state *state = outputs->state;
    struct calm__journal_record *mark = &outputs->mark;
    state->ok = mark->ok += batch->ok;
    state->failed = mark->failed += batch->failed;
    state->compared = mark->compared += batch->quality.compared;
    state->right = mark->right += batch->quality.right;
    state->squared_error = mark->squared_error += batch->quality.squared_error;
    if (batch->quality.inexact)
        state->classes = false;
}

static void mark(struct calm__outputs *outputs)
{
    outputs->mark.output = calm__sink_mark(outputs->output);
    if (outputs->errors)
        outputs->mark.errors = calm__sink_mark(outputs->errors);
    if (outputs->merge)
        outputs->mark.merged = outputs->merge->copied;
}

int calm__outputs_copy_rest(struct calm__outputs *outputs)
{
    struct calm__merge *merge = outputs->merge;
    int rc = calm__merge_copy(merge, merge->records, outputs->output);
    if (rc == 0)
        mark(outputs);
    return rc;
}

int calm__outputs_save(
    struct calm__outputs *outputs, const struct calm__batch *batch)
{
    int rc = 0;
    if (outputs->failed < 0)
        return calm_fail(outputs->failed, "the outputs cannot be saved");
    if (batch->out.len > 0 && outputs->merge)
        rc = calm__merge_batch(outputs->merge, batch, outputs->output);
    else if (batch->out.len > 0)
        rc = calm__sink_write(outputs->output, &batch->out);
    if (rc == 0 && batch->failed > 0)
        rc = errors_write(outputs, batch);
    if (rc == 0 && outputs->journal)
        rc = calm__selection_add(&outputs->done, batch->begin, batch->end);
    if (rc < 0)
        return rc;
    count(outputs, batch);
    if (!outputs->journal)
        return 0;
    mark(outputs);
    outputs->mark.retries = outputs->state->retries;
    outputs->rows += batch->cut;
    calm_event_set(&outputs->dirty);
    if (outputs->rows >= CALM__COMMIT_ROWS)
        calm_event_set(&outputs->full);
    return 0;
}

/* ---- the end ---- */

/* With what a run that has died has left of them; whoever holds the part file
 * of the output owns both. */
static int errors_remove(const char *path)
{
    char *part;
    if (asprintf(&part, "%s%s", path, CALM__PART_END) < 0)
        return calm_fail(-ENOMEM, "no memory for a name");
    unlink(part);
    unlink(path);
    free(part);
    return 0;
}

static int errors_finish(struct calm__outputs *outputs)
{
    if (outputs->errors)
        return calm__sink_commit(outputs->errors);
    bool has = outputs->mark.errors.size > 0; /* their final name already */
    return outputs->errors_path && !has ? errors_remove(outputs->errors_path)
                                        : 0;
}

static int output_finish(struct calm__outputs *outputs)
{
    return outputs->output ? calm__sink_commit(outputs->output) : 0;
}

/* The errors get their name first: a reader who sees the output also sees
 * what is missing in it. A stale list of a replaced output goes away. When
 * rows that had failed are added it is the other way round, so that each is
 * in one of the two at any time. */
static int names_give(struct calm__outputs *outputs)
{
    bool adds = outputs->opts->retry_failed;
    int rc = adds ? output_finish(outputs) : errors_finish(outputs);
    if (rc == 0)
        rc = adds ? errors_finish(outputs) : output_finish(outputs);
    return rc;
}

static int finish(struct calm__outputs *outputs)
{
    int rc = 0;
    if (outputs->journal && !outputs->finished)
        rc = calm__outputs_commit(outputs, /* complete= */ true);
    if (rc == 0)
        rc = names_give(outputs);
    if (rc < 0)
        return rc;
    outputs->state->committed = true;
    if (!outputs->journal)
        return 0;
    struct calm__journal *journal = outputs->journal;
    outputs->journal = NULL;
    outputs->state->resumable = false;
    return calm__journal_remove(journal);
}

int calm__outputs_finish(struct calm__outputs *outputs)
{
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = finish(outputs);
    calm_shield_end(&shield);
    return rc;
}

void calm__outputs_close(struct calm__outputs *outputs)
{
    calm__merge_close(outputs->merge);
    calm__sink_close(outputs->output);
    calm__sink_close(outputs->errors);
    calm__journal_close(outputs->journal);
    calm__selection_clear(&outputs->done);
    calm__selection_clear(&outputs->committing);
    free(outputs->errors_path);
    free(outputs->journal_path);
}
