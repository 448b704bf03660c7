/* run_identity.c - what a run of calm_predict() is a run of
 *
 * How many rows go into a batch, on how many threads, and under which name
 * the input stands, changes nothing in the output and is left out.
 */
#include "ml/run.h"

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { EDGE = 1 << 20 };

static void add_layout(
    const struct calm__answer *answer, struct calm__identity *identity)
{
    const struct calm__predictor *predictor = answer->predictor;
    const enum calm__identity_kind kind = CALM__IDENTITY_LAYOUT;
    calm__identity_number(identity, kind, "json", answer->json);
    calm__identity_number(identity, kind, "lines", predictor->lines);
    calm__identity_number(identity, kind, "row", answer->with_row);
    calm__identity_text(identity, kind, "id", answer->id_name);
    calm__identity_names(
        identity, kind, "columns", predictor->columns, predictor->column_count);
    calm__identity_names(
        identity, kind, "keep", answer->keep, answer->keep_count);
}

static void add_options(
    const struct calm__answer *answer, struct calm__identity *identity)
{
    const struct calm__predictor *predictor = answer->predictor;
    const calm_predict_opts *opts = predictor->opts;
    const calm_csv_opts *csv = &opts->csv;
    const enum calm__identity_kind kind = CALM__IDENTITY_OPTION;
    /* A model chooses its own when none are given; an API takes the cells. */
    if (predictor->features)
        calm__identity_names(identity, kind, "--features", predictor->features,
            predictor->feature_count);
    else
        calm__identity_list(identity, kind, "--features", opts->features);
    calm__identity_text(identity, kind, "--id", opts->id);
    calm__identity_text(identity, kind, "--truth", opts->truth);
    calm__identity_list(identity, kind, "--missing", opts->missing);
    calm__identity_number(identity, kind, "--limit", opts->limit);
    calm__identity_number(identity, kind, "--csv-safe", opts->csv_safe);
    calm__identity_number(
        identity, kind, "--separator", (unsigned char)csv->separator);
    calm__identity_number(identity, kind, "--ragged", csv->ragged);
    calm__identity_number(identity, kind, "--invalid-utf8", csv->invalid_utf8);
    const size_t bounds[] = {
        csv->field_max, csv->record_max, csv->columns_max, csv->columns};
    calm__identity_add(identity, kind, "bounds", bounds, sizeof bounds);
}

static int add_edge(calm_file *file, const char *name, char *edge, int64_t from,
    struct calm__identity *identity)
{
    ssize_t got = calm_file_read_at(file, edge, EDGE, from);
    if (got < 0)
        return (int)got;
    calm__identity_add(identity, CALM__IDENTITY_INPUT, name, edge, (size_t)got);
    return 0;
}

static int add_input(
    const struct calm__dataset *dataset, struct calm__identity *identity)
{
    calm_file *file = calm__dataset_file(dataset);
    struct stat status;
    if (fstat(calm_file_fd(file), &status) < 0)
        return calm_fail(-errno, "cannot look at the input: %m");
    const enum calm__identity_kind kind = CALM__IDENTITY_INPUT;
    const int64_t time[] = {status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    int64_t size = status.st_size;
    calm__identity_number(
        identity, kind, "format", calm__dataset_is_json(dataset));
    calm__identity_number(identity, kind, "size", (uint64_t)size);
    char *edge = calm__alloc(EDGE);
    if (!edge)
        return calm_fail(-ENOMEM, "no memory to look at the input");
    int rc = add_edge(file, "first bytes", edge, 0, identity);
    if (rc == 0)
        rc = add_edge(
            file, "last bytes", edge, size > EDGE ? size - EDGE : 0, identity);
    free(edge);
    /* Last: that only the time differs is a hint of its own. */
    calm__identity_add(identity, kind, "time of change", time, sizeof time);
    return rc;
}

int calm__run_identity(
    const struct calm__run *run, struct calm__identity *identity)
{
    struct calm__predictor *predictor = run->predictor;
    add_layout(&run->answer, identity);
    int rc = add_input(run->dataset, identity);
    if (rc < 0)
        return rc;
    if (predictor->methods->identity)
        predictor->methods->identity(predictor, identity);
    add_options(&run->answer, identity);
    return identity->error;
}
