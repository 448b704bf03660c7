/* format_jsonl.c - JSON Lines as a dataset: each line is an object, and the
 * members of the first name the columns
 */
#include "ml/format.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/json.h>
#include <calm/number.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reader with what it needs to say why a row fails. */
struct reader {
    calm_jsonl_reader *json;
    calm_bytes causes; /* texts of this block, by offset */
    size_t *offsets;
    size_t room;
};

static int jsonl_cut(struct calm__dataset *dataset, size_t rows_max,
    bool at_end, const char *data, size_t len, calm_csv_block *ret_block)
{
    calm_jsonl_cutter *cutter = dataset->cutter;
    if (!cutter) {
        cutter = dataset->cutter = calm__alloc(sizeof *cutter);
        if (!cutter)
            return calm_fail(-ENOMEM, "no memory to cut rows");
        int rc = calm_jsonl_cutter_init(
            cutter, &(calm_jsonl_opts){.record_max = dataset->csv.record_max});
        if (rc < 0)
            return rc;
    }
    cutter->rows_max = rows_max;
    cutter->at_end = at_end;
    return calm_jsonl_cut(cutter, data, len, ret_block);
}

static int jsonl_head(
    struct calm__dataset *dataset, const calm_csv_block *block)
{
    calm_json_member *members;
    size_t count;
    int rc = calm_jsonl_names(block, &members, &count);
    if (rc < 0)
        return calm_while(rc, "'%s'", dataset->path);
    dataset->names = calloc(count ? count : 1, sizeof *dataset->names);
    rc = dataset->names ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        dataset->names[i] = strdup(members[i].name);
        if (!dataset->names[i])
            rc = -ENOMEM;
        else
            dataset->name_count++;
    }
    free(members);
    return rc;
}

/* ---- readers ---- */

static int reader_new(const char *const *names, size_t count, void **ret_reader)
{
    struct reader *reader = calm__alloc(sizeof *reader);
    if (!reader)
        return -ENOMEM;
    *reader = (struct reader){0};
    *ret_reader = reader;
    return calm_jsonl_reader_new(names, count, NULL, &reader->json);
}

static int jsonl_rows_open(struct calm__rows *rows)
{
    const struct calm__choice *choice = rows->dataset->choice;
    int rc = reader_new(choice->features, choice->feature_count, &rows->first);
    if (rc == 0 && (choice->cell_count > 0 || choice->text))
        rc = reader_new(choice->cells, choice->cell_count, &rows->second);
    return rc;
}

static void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    calm_jsonl_reader_free(reader->json);
    calm_bytes_clear(&reader->causes);
    free(reader->offsets);
    free(reader);
}

static void jsonl_rows_close(struct calm__rows *rows)
{
    reader_free(rows->first);
    reader_free(rows->second);
}

/* ---- features ---- */

static bool is_missing(
    const struct calm__choice *choice, const calm_json_field *field)
{
    for (size_t i = 0; choice->missing && choice->missing[i]; i++)
        if (strlen(choice->missing[i]) == field->len &&
            memcmp(choice->missing[i], field->text, field->len) == 0)
            return true;
    return false;
}

/* A number, a text that is one, or nothing. */
static bool value_of(const struct calm__choice *choice,
    const calm_json_field *field, float *ret_value)
{
    *ret_value = NAN;
    if (field->kind == CALM_JSON_MISSING || field->kind == CALM_JSON_NULL)
        return true;
    if (field->kind == CALM_JSON_NUMBER && is_missing(choice, field))
        return true; /* -999 is what it is in CSV */
    if (field->kind == CALM_JSON_NUMBER || field->kind == CALM_JSON_BOOL) {
        *ret_value = (float)field->number;
        return true;
    }
    if (field->kind != CALM_JSON_STRING)
        return false;
    if (field->len == 0 || is_missing(choice, field))
        return true;
    return calm_float_parse(field->text, field->len, ret_value) == 0;
}

static int row_values(struct reader *reader, const struct calm__choice *choice,
    const calm_json_record *record, float *values, struct calm__row *row)
{
    for (size_t i = 0; i < choice->feature_count; i++) {
        const calm_json_field *field = &record->fields[i];
        if (value_of(choice, field, &values[i]))
            continue;
        int shown = field->len > 40 ? 40 : (int)field->len;
        row->status = CALM_EFORMAT;
        for (size_t j = 0; j < choice->feature_count; j++)
            values[j] = NAN;
        return calm_bytes_printf(&reader->causes,
            "line %llu, column '%s': '%.*s' is not a number",
            (unsigned long long)record->line, choice->features[i], shown,
            field->text);
    }
    return 0;
}

static int room_for(struct reader *reader, size_t rows)
{
    if (rows <= reader->room)
        return 0;
    void *offsets = calm__realloc(reader->offsets, rows * sizeof(size_t));
    if (!offsets)
        return calm_fail(-ENOMEM, "no memory for rows");
    reader->offsets = offsets;
    reader->room = rows;
    return 0;
}

static int jsonl_floats(struct calm__rows *rows, const calm_csv_block *block,
    float *values, struct calm__row *ret_rows)
{
    struct reader *reader = rows->first;
    const struct calm__choice *choice = rows->dataset->choice;
    calm_json_record record;
    int count = 0, rc = room_for(reader, block->rows);
    if (rc < 0)
        return rc;
    calm_bytes_reset(&reader->causes);
    calm_jsonl_split(reader->json, block);
    while ((rc = calm_jsonl_next(reader->json, &record)) > 0) {
        struct calm__row *row = &ret_rows[count];
        float *place = values + (size_t)count * choice->feature_count;
        *row = (struct calm__row){
            .row = record.row, .line = record.line, .status = record.status};
        reader->offsets[count++] = reader->causes.len;
        if (record.status == 0)
            rc = row_values(reader, choice, &record, place, row);
        else
            rc = calm_bytes_append_text(&reader->causes, record.cause);
        for (size_t i = 0; record.status < 0 && i < choice->feature_count; i++)
            place[i] = NAN;
        if (rc == 0 && row->status < 0)
            rc = calm_bytes_append(&reader->causes, "", 1);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < count; i++)
        if (ret_rows[i].status < 0)
            ret_rows[i].cause = reader->causes.data + reader->offsets[i];
    return rc < 0 ? rc : count;
}

/* ---- cells ---- */

static void jsonl_cells_begin(
    struct calm__rows *rows, const calm_csv_block *block)
{
    calm_jsonl_split(((struct reader *)rows->second)->json, block);
}

static int jsonl_cells_next(struct calm__rows *rows, struct calm__cell *cells,
    struct calm__row *ret_row)
{
    struct reader *reader = rows->second;
    calm_json_record record;
    int rc = calm_jsonl_next(reader->json, &record);
    if (rc <= 0)
        return rc;
    rows->text = record.text;
    rows->text_len = record.len;
    if (ret_row)
        *ret_row = (struct calm__row){.row = record.row,
            .line = record.line,
            .status = record.status,
            .cause = record.cause};
    for (size_t i = 0; i < rows->dataset->choice->cell_count; i++) {
        cells[i] = (struct calm__cell){.absent = true};
        if (record.status < 0)
            continue;
        const calm_json_field *field = &record.fields[i];
        cells[i].absent =
            field->kind == CALM_JSON_MISSING || field->kind == CALM_JSON_NULL;
        cells[i].text = field->text;
        cells[i].len = field->len;
        cells[i].json = field->kind != CALM_JSON_STRING;
    }
    return 1;
}

const struct calm__format calm__format_jsonl = {
    .cut = jsonl_cut,
    .head = jsonl_head,
    .head_is_names = false,
    .rows_open = jsonl_rows_open,
    .rows_close = jsonl_rows_close,
    .floats = jsonl_floats,
    .cells_begin = jsonl_cells_begin,
    .cells_next = jsonl_cells_next,
};
