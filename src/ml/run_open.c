/* run_open.c - opens a run: its input, its columns, and what is done of it */
#include "ml/run.h"

#include "base/error.h"
#include "ml/retry_failed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the columns ---- */

static size_t count_of(const char *const *names)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    return count;
}

static const char *id_of(const struct calm__run *run)
{
    static const char *const usual[] = {"sample_id", "id"};
    if (run->opts->id)
        return run->opts->id;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (calm__dataset_has(run->dataset, usual[i]))
            return usual[i];
    return NULL;
}

/* Id, truth, kept, and those that the predictor wants as text. */
static int cells_choose(struct calm__run *run, const char *id)
{
    const calm_predict_opts *opts = run->opts;
    struct calm__predictor *predictor = run->predictor;
    size_t keep_count = run->answer.keep_count, count = 0;
    run->cells =
        calloc(keep_count + predictor->cell_count + 3, sizeof *run->cells);
    if (!run->cells)
        return calm_fail(-ENOMEM, "no memory for columns");
    if (id)
        run->cells[count++] = id;
    if (opts->truth)
        run->cells[count++] = opts->truth;
    for (size_t i = 0; i < keep_count; i++)
        run->cells[count++] = opts->keep[i];
    predictor->first_cell = count;
    for (size_t i = 0; i < predictor->cell_count; i++)
        run->cells[count++] = predictor->cells[i];
    run->choice = (struct calm__choice){.features = predictor->features,
        .feature_count = predictor->feature_count,
        .cells = run->cells,
        .cell_count = count,
        .text = predictor->text,
        .missing = opts->missing};
    return calm__dataset_choose(run->dataset, &run->choice);
}

static int columns_choose(struct calm__run *run)
{
    const calm_predict_opts *opts = run->opts;
    struct calm__predictor *predictor = run->predictor;
    const char *id = id_of(run);
    const char *end = strrchr(opts->output, '.');
    bool json = end && (strcasecmp(end, ".jsonl") == 0 ||
                           strcasecmp(end, ".ndjson") == 0);
    run->answer = (struct calm__answer){.json = json,
        .csv_safe = opts->csv_safe,
        .with_row = opts->unordered,
        .id_name = id ? id : "sample_id",
        .id_is_row = !id,
        .has_truth = opts->truth != NULL,
        .keep = opts->keep,
        .keep_count = count_of(opts->keep),
        .predictor = predictor};
    int rc = predictor->methods->choose(predictor, run->dataset, id);
    run->answer.json |= predictor->lines;
    return rc < 0 ? rc : cells_choose(run, id);
}

/* ---- the outputs ---- */

/* Which rows had failed: only those are wanted. Where a run has done them all
 * and died before the last name was given, there is nothing to look up.
 * Returns 1, or 0 when no row had failed. */
static int failed_find(struct calm__run *run, const calm_bytes *head)
{
    struct calm__outputs *outputs = &run->outputs;
    const struct calm__journal_contents *found = outputs->found;
    bool other = found && found->has_head && !found->head.retry;
    if (other || (found && found->last.complete))
        return 1;
    int rc = calm__retry_failed_open(
        &run->answer, outputs->errors_path, head, &outputs->merge);
    if (rc == 0)
        calm__outputs_note(
            outputs, "no row of '%s' has failed", run->opts->output);
    if (rc <= 0)
        return rc;
    struct calm__selection all = run->wanted;
    run->wanted = outputs->merge->rows;
    outputs->merge->rows = all;
    return 1;
}

/* What earlier runs have done is not wanted any more. */
static int done_leave(struct calm__run *run, const struct calm__selection *done)
{
    struct calm__selection rest;
    int rc = calm__selection_without(&run->wanted, done, &rest);
    if (rc < 0)
        return rc;
    calm__selection_clear(&run->wanted);
    run->wanted = rest;
    return 0;
}

/* The copy of the output before goes on where it was. In any order what is
 * new comes behind all of it. */
static int merge_begin(struct calm__run *run)
{
    struct calm__outputs *outputs = &run->outputs;
    int rc = calm__merge_skip(outputs->merge, outputs->mark.merged);
    return rc == 0 && run->opts->unordered ? calm__outputs_copy_rest(outputs)
                                           : rc;
}

/* Returns 1, or 0 when there is nothing to do. */
static int outputs_open(struct calm__run *run, struct calm__outputs_plan *plan)
{
    struct calm__outputs *outputs = &run->outputs;
    struct calm__selection done = {0};
    int rc = calm__outputs_find(outputs);
    if (rc == 0 && plan->can_resume)
        rc = calm__run_identity(run, plan->identity);
    if (rc == 0)
        rc = run->opts->retry_failed ? failed_find(run, plan->head) : 1;
    if (rc <= 0)
        return rc;
    if (outputs->merge)
        calm__identity_number(plan->identity, CALM__IDENTITY_BEFORE, "output",
            outputs->merge->hash);
    rc = calm__outputs_open(outputs, plan, &done);
    if (rc == 0 && done.count > 0)
        rc = done_leave(run, &done);
    if (rc == 0 && outputs->merge)
        rc = merge_begin(run);
    calm__selection_clear(&done);
    return rc < 0 ? rc : 1;
}

static int retry_check(
    const struct calm__run *run, const struct calm__outputs_plan *plan)
{
    const calm_predict_opts *opts = run->opts;
    if (!opts->retry_failed)
        return 0;
    if (opts->overwrite)
        return calm_fail(
            -EINVAL, "--retry-failed and --overwrite exclude each other");
    if (!plan->can_resume || !run->outputs.errors_path)
        return calm_fail(-EINVAL,
            "--retry-failed needs an input and an output that are files");
    return 0;
}

static int outputs_plan(struct calm__run *run)
{
    calm_bytes head = {0};
    struct calm__identity identity = {0};
    struct calm__outputs_plan plan = {.head = &head,
        .identity = &identity,
        .can_resume = calm__dataset_is_file(run->dataset) &&
                      strcmp(run->opts->input, "-") != 0};
    int rc = retry_check(run, &plan);
    if (rc == 0)
        rc = calm__answer_head(&run->answer, &head);
    if (rc == 0)
        rc = outputs_open(run, &plan);
    calm__identity_clear(&identity);
    calm_bytes_clear(&head);
    return rc;
}

int calm__run_open(struct calm__run *run)
{
    const calm_predict_opts *opts = run->opts;
    struct calm__dataset_opts dataset = {.path = opts->input, .csv = opts->csv};
    int rc = calm__outputs_check(&run->outputs, opts, run->state);
    if (rc == 0)
        rc =
            opts->remote.url
                ? calm__predictor_remote_open(opts, run->state, &run->predictor)
                : calm__predictor_model_open(opts, run->state, &run->predictor);
    if (rc == 0)
        rc = calm__dataset_open(&dataset, &run->dataset);
    if (rc == 0)
        rc = columns_choose(run);
    if (rc < 0)
        return rc;
    run->state->size = calm__dataset_size(run->dataset);
    run->state->classes = run->predictor->classes;
    return outputs_plan(run);
}
