/* retry_failed.c - which rows of a finished run have failed
 *
 * When a run is finished its journal is gone, so what is known of it is what
 * it has left. All of it is held against the input before a row is predicted
 * or a file created: cutting rows is fast, and a merge of two runs would be
 * noticed by nobody.
 */
#include "ml/retry_failed.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/json.h>
#include <calm/number.h>
#include <calm/pool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- the errors ---- */

static int compare(const void *a, const void *b)
{
    const struct calm__failed *first = a, *second = b;
    return (first->row > second->row) - (first->row < second->row);
}

static bool number_of(const calm_json_field *field, uint64_t *ret_number)
{
    int64_t number;
    if (field->kind != CALM_JSON_NUMBER ||
        calm_int64_parse(field->text, field->len, &number) < 0 || number < 0)
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static int add_failed(
    struct calm__merge *merge, size_t room, const calm_json_record *record)
{
    struct calm__failed *failed = &merge->failed[merge->count];
    const calm_json_field *id = &record->fields[2];
    if (record->status < 0)
        return calm_fail(-EINVAL, "%s", record->cause);
    if (merge->count == room || !number_of(&record->fields[0], &failed->row) ||
        !number_of(&record->fields[1], &failed->line))
        return calm_fail(-EINVAL, "line %llu is not of a row that failed",
            (unsigned long long)record->line);
    failed->id = merge->ids.len;
    failed->has_id =
        id->kind != CALM_JSON_NULL && id->kind != CALM_JSON_MISSING;
    failed->id_is_text = id->kind == CALM_JSON_STRING;
    failed->id_len = failed->has_id ? id->len : 0;
    merge->count++;
    return calm_bytes_append(&merge->ids, id->text, failed->id_len);
}

/* A line of the Batch format has an id of its own besides that of its row. */
static int read_failed(
    struct calm__merge *merge, const calm_bytes *text, bool lines)
{
    const char *const names[] = {"row", "line", lines ? "custom_id" : "id"};
    calm_jsonl_reader *reader;
    calm_json_record record;
    size_t room = 1;
    for (size_t i = 0; i < text->len; i++)
        room += text->data[i] == '\n';
    merge->failed = calloc(room, sizeof *merge->failed);
    int rc = merge->failed ? calm_jsonl_reader_new(names, 3, NULL, &reader)
                           : calm_fail(-ENOMEM, "no memory for rows");
    if (rc < 0)
        return rc;
    calm_csv_block block = {
        .data = text->data, .len = text->len, .line = 1, .rows = room};
    calm_jsonl_split(reader, &block);
    while ((rc = calm_jsonl_next(reader, &record)) > 0 &&
           (rc = add_failed(merge, room, &record)) == 0)
        continue;
    calm_jsonl_reader_free(reader);
    return rc;
}

/* In their order, each once, as a selection. */
static int sort_failed(struct calm__merge *merge)
{
    qsort(merge->failed, merge->count, sizeof *merge->failed, compare);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < merge->count; i++) {
        uint64_t row = merge->failed[i].row;
        if (i > 0 && merge->failed[i - 1].row == row)
            return calm_fail(
                -EINVAL, "row %llu is there twice", (unsigned long long)row);
        rc = calm__selection_add(&merge->rows, row, row + 1);
    }
    calm__selection_sort(&merge->rows);
    return rc;
}

/* Returns 1, or 0 when no row has failed. */
static int errors_read(struct calm__merge *merge, const char *path, bool lines)
{
    calm_bytes text = {0};
    int rc = calm_file_read_all(path, &text);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0 && text.len > 0) {
        merge->hash = XXH3_64bits(text.data, text.len);
        rc = read_failed(merge, &text, lines);
        if (rc == 0)
            rc = sort_failed(merge);
        rc = calm_while(rc, "'%s'", path);
    }
    calm_bytes_clear(&text);
    return rc < 0 ? rc : merge->count > 0;
}

/* ---- the input ---- */

/* The input once more, to be looked at. */
struct look {
    const struct calm__answer *answer;
    struct calm__merge *merge;
    struct calm__dataset *dataset;
    struct calm__choice choice;
    struct calm__rows *reader;
    const char *id;         /* its column, or NULL */
    struct calm__cell cell; /* the id */
    calm_csv_block block;
    uint64_t present; /* rows that are not left out */
};

static int other_input(const struct look *look, const struct calm__failed *row)
{
    return calm_fail(-EINVAL,
        "row %llu failed in a run with another input: it is not the one on "
        "line %llu of '%s'",
        (unsigned long long)row->row, (unsigned long long)row->line,
        look->answer->predictor->opts->input);
}

/* On the CPU pool: how many rows of the block are not left out. */
static int count_rows(void *arg)
{
    struct look *look = arg;
    int rc, count = 0;
    calm__rows_cells_begin(look->reader, &look->block);
    while ((rc = calm__rows_cells_next(look->reader, &look->cell, NULL)) > 0)
        count++;
    return rc < 0 ? rc : count;
}

static bool is_id(const struct look *look, const struct calm__failed *failed)
{
    struct calm__cell cell = calm__answer_id(look->dataset, &look->cell);
    const char *id = look->merge->ids.data + failed->id;
    if (!look->id || !failed->has_id)
        return true;
    return !cell.absent && cell.json == !failed->id_is_text &&
           cell.len == failed->id_len && memcmp(cell.text, id, cell.len) == 0;
}

/* The block is the one row that FAILED must be. */
static int check_row(struct look *look, const struct calm__failed *failed)
{
    struct calm__row row;
    calm__rows_cells_begin(look->reader, &look->block);
    int rc = calm__rows_cells_next(look->reader, &look->cell, &row);
    if (rc < 0)
        return rc;
    bool same = rc > 0 && row.row == failed->row && row.line == failed->line &&
                is_id(look, failed);
    return same ? 0 : other_input(look, failed);
}

/* Takes the rows up to END, and counts them. Returns 1, or 0 at the end. */
static int pass(struct look *look, uint64_t *position, uint64_t end)
{
    bool skips =
        look->answer->predictor->opts->csv.ragged == CALM_CSV_RAGGED_SKIP;
    struct calm__chunk *chunk;
    while (*position < end) {
        uint64_t left = end - *position;
        int rc = calm__dataset_next(look->dataset,
            left < SIZE_MAX ? (size_t)left : SIZE_MAX, &look->block, &chunk);
        if (rc <= 0)
            return rc;
        rc = skips ? calm_cpu(count_rows, look) : (int)look->block.rows;
        calm__chunk_release(look->dataset, chunk);
        if (rc < 0)
            return rc;
        look->present += (uint64_t)rc;
        *position += look->block.rows;
    }
    return 1;
}

static int input_pass(struct look *look)
{
    struct calm__merge *merge = look->merge;
    uint64_t limit = look->answer->predictor->opts->limit, position = 0;
    for (size_t i = 0; i < merge->count; i++) {
        struct calm__failed *failed = &merge->failed[i];
        struct calm__chunk *chunk;
        int rc = pass(look, &position, failed->row);
        if (rc > 0)
            rc = calm__dataset_next(look->dataset, 1, &look->block, &chunk);
        if (rc == 0)
            return other_input(look, failed);
        if (rc < 0)
            return rc;
        rc = check_row(look, failed);
        calm__chunk_release(look->dataset, chunk);
        if (rc < 0)
            return rc;
        failed->before = look->present - i;
        look->present++;
        position++;
    }
    int rc = pass(look, &position, limit ? limit : CALM__ALL_ROWS);
    merge->records = look->present - merge->count;
    return rc < 0 ? rc : 0;
}

static int input_check(
    const struct calm__answer *answer, struct calm__merge *merge)
{
    const calm_predict_opts *opts = answer->predictor->opts;
    const char *usual = answer->id_is_row ? NULL : answer->id_name;
    struct look look = {.answer = answer,
        .merge = merge,
        .id = answer->predictor->lines ? "custom_id" : usual};
    look.choice = (struct calm__choice){
        .cells = &look.id, .cell_count = look.id != NULL, .text = true};
    struct calm__dataset_opts dataset = {.path = opts->input, .csv = opts->csv};
    int rc = calm__dataset_open(&dataset, &look.dataset);
    if (rc == 0)
        rc = calm__dataset_choose(look.dataset, &look.choice);
    if (rc == 0 && !(look.reader = calm__rows_new(look.dataset)))
        rc = calm_fail(-ENOMEM, "no memory to look at the input");
    if (rc == 0)
        rc = input_pass(&look);
    calm__rows_free(look.reader);
    calm__dataset_close(look.dataset);
    return rc;
}

/* ---- the output ---- */

static int output_dataset(const char *path, struct calm__dataset **ret_dataset)
{
    struct calm__dataset_opts opts = {
        .path = path, .csv = {.record_max = (size_t)1 << 30}};
    return calm__dataset_open(&opts, ret_dataset);
}

/* Another header, or other members. */
static int layout_check(const struct calm__answer *answer, const char *path,
    const calm_bytes *head, const struct calm__dataset *old)
{
    const struct calm__predictor *predictor = answer->predictor;
    size_t count =
        1 + answer->with_row + predictor->column_count + answer->keep_count;
    calm_bytes first = {0};
    int rc = calm_bytes_reserve(&first, head->len + 1);
    ssize_t got = rc < 0 ? rc
                         : calm_file_read_at(calm__dataset_file(old),
                               first.data, head->len, 0);
    bool same =
        got == (ssize_t)head->len &&
        memcmp(first.data, head->data ? head->data : "", head->len) == 0;
    calm_bytes_clear(&first);
    if (got < 0)
        return (int)got;
    if (predictor->lines && calm__dataset_columns(old) > 0)
        same = calm__dataset_has(old, "custom_id") &&
               calm__dataset_has(old, "response") &&
               calm__dataset_has(old, "error");
    else if (answer->json && calm__dataset_columns(old) > 0)
        same = calm__dataset_columns(old) == count &&
               calm__dataset_has(old, answer->id_name) &&
               calm__dataset_has(old, "row") == answer->with_row;
    return same ? 0
                : calm_fail(-EINVAL,
                      "'%s' has other columns than this run would give it\n"
                      "hint: give the same options as before",
                      path);
}

static int output_count(struct calm__merge *merge, const char *path)
{
    calm_csv_block block;
    struct calm__chunk *chunk;
    uint64_t records = 0;
    int rc;
    while (
        (rc = calm__dataset_next(merge->old, SIZE_MAX, &block, &chunk)) > 0) {
        records += block.rows;
        merge->hash = XXH3_64bits_withSeed(block.data, block.len, merge->hash);
        calm__chunk_release(merge->old, chunk);
    }
    if (rc == 0 && records != merge->records)
        rc = calm_fail(-EINVAL,
            "'%s' has %llu records, but %llu rows of the input have not "
            "failed: it is of another run",
            path, (unsigned long long)records,
            (unsigned long long)merge->records);
    return rc;
}

/* Looks at all of it, and opens it again to be copied. */
static int output_check(const struct calm__answer *answer,
    const calm_bytes *head, struct calm__merge *merge)
{
    const char *path = answer->predictor->opts->output;
    int rc = output_dataset(path, &merge->old);
    if (rc == 0)
        rc = layout_check(answer, path, head, merge->old);
    if (rc == 0)
        rc = output_count(merge, path);
    calm__dataset_close(merge->old);
    merge->old = NULL;
    return rc < 0 ? rc : output_dataset(path, &merge->old);
}

static int merge_fill(const struct calm__answer *answer, const char *errors,
    const calm_bytes *head, struct calm__merge *merge)
{
    const char *output = answer->predictor->opts->output;
    if (access(output, F_OK) < 0)
        return calm_fail(-errno,
            "cannot add to '%s': %m\n"
            "hint: without --retry-failed it is made",
            output);
    int rc = errors_read(merge, errors, answer->predictor->lines);
    if (rc <= 0)
        return rc;
    rc = input_check(answer, merge);
    if (rc == 0)
        rc = output_check(answer, head, merge);
    return rc < 0 ? rc : 1;
}

int calm__retry_failed_open(const struct calm__answer *answer,
    const char *errors, const calm_bytes *head, struct calm__merge **ret_merge)
{
    struct calm__merge *merge = calm__alloc(sizeof *merge);
    if (!merge)
        return calm_fail(-ENOMEM, "no memory for rows");
    *merge = (struct calm__merge){.unordered = answer->with_row};
    int rc = merge_fill(answer, errors, head, merge);
    if (rc > 0) {
        *ret_merge = merge;
        return rc;
    }
    struct calm__error *error = calm__error_take();
    calm__merge_close(merge);
    calm__error_set(error);
    return rc;
}
