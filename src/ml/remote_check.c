/* remote_check.c - the lines of the Batch format, before any is sent
 *
 * One line that is no request means that the file is not what it was taken
 * for, and no money should be spent on the others. So the input is read once
 * more, before the run. What comes through a pipe cannot be: there the run
 * ends at such a line.
 */
#include "ml/remote.h"

#include "base/error.h"

#include <calm/pool.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct calm__remote *remote;
    struct calm__dataset *dataset;
    struct calm__batch *batch;
    struct calm__api_ids ids;
};

int calm__remote_check_row(const struct calm__remote *remote,
    const struct calm__row *row, const struct calm__cell *cells)
{
    if (calm__api_kind_of(remote->api) != CALM__API_OPENAI)
        return 0;
    if (row->status < 0)
        return calm_fail(row->status, "%s", row->cause);
    return calm__api_check(remote->api, cells, row->line);
}

static int rows_check(void *arg)
{
    struct check *check = arg;
    struct calm__batch *batch = check->batch;
    struct calm__row row;
    calm__batch_cells_begin(batch);
    int rc;
    while ((rc = calm__batch_cells_next(batch, &row)) > 0) {
        const struct calm__cell *id = &batch->cells[CALM__LINE_CUSTOM_ID];
        rc = calm__remote_check_row(check->remote, &row, batch->cells);
        if (rc < 0)
            return rc;
        calm__api_ids_add(&check->ids, id->text, id->len, row.line);
    }
    return rc;
}

static int blocks_check(struct check *check)
{
    calm_csv_block block;
    struct calm__chunk *chunk;
    int rc;
    while ((rc = calm__dataset_next(check->dataset, SIZE_MAX, &block, &chunk)) >
           0) {
        rc = calm__batch_add(check->batch, &block, chunk);
        if (rc < 0) {
            calm__chunk_release(check->dataset, chunk);
            return rc;
        }
        rc = calm_cpu(rows_check, check);
        calm__batch_reset(check->batch);
        if (rc < 0)
            return calm_while(rc, "'%s'", check->remote->base.opts->input);
    }
    return rc;
}

static void repeated_tell(const struct check *check)
{
    const calm_predict_opts *opts = check->remote->base.opts;
    if (check->ids.repeated == 0 || !opts->on_warning)
        return;
    char text[128];
    snprintf(text, sizeof text,
        "%llu lines repeat a custom_id, the first of them line %llu",
        (unsigned long long)check->ids.repeated,
        (unsigned long long)check->ids.first_line);
    opts->on_warning(opts->ctx, text);
}

int calm__remote_check(const struct calm__remote *remote)
{
    const calm_predict_opts *opts = remote->base.opts;
    if (strcmp(opts->input, "-") == 0)
        return 0;
    struct check check = {.remote = remote};
    struct calm__choice choice = {.cells = calm__api_column_names(remote->api),
        .cell_count = calm__api_columns(remote->api)};
    int rc = calm__dataset_open(
        &(struct calm__dataset_opts){.path = opts->input, .csv = opts->csv},
        &check.dataset);
    if (rc == 0)
        rc = calm__dataset_choose(check.dataset, &choice);
    if (rc == 0) {
        check.batch = calm__batch_new(check.dataset, choice.cell_count);
        rc = check.batch ? blocks_check(&check)
                         : calm_fail(-ENOMEM, "no memory for a batch");
    }
    if (rc == 0)
        repeated_tell(&check);
    struct calm__error *error = calm__error_take();
    calm__batch_free(check.batch);
    calm__api_ids_clear(&check.ids);
    calm__dataset_close(check.dataset);
    calm__error_set(error);
    return rc;
}
