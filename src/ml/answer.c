/* answer.c - a batch's predictions as text: CSV or JSON Lines */
#include "ml/answer.h"

#include "ml/predictor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What calm__answer leaves open of a row. */
struct place {
    struct calm__batch *batch;
    size_t index;
    const struct calm__row *row;
    const struct calm__cell *id; /* NULL: the row's number */
    const struct calm__cell *kept;
};

int calm__answer_head(const struct calm__answer *answer, calm_bytes *out)
{
    const struct calm__predictor *predictor = answer->predictor;
    size_t count = 0;
    size_t most = 2 + predictor->column_count + answer->keep_count;
    const char **names = calloc(most, sizeof *names);
    if (!names)
        return calm_fail(-ENOMEM, "no memory for the columns of the output");
    if (answer->with_row)
        names[count++] = "row";
    names[count++] = answer->id_name;
    for (size_t i = 0; i < predictor->column_count; i++)
        names[count++] = predictor->columns[i];
    for (size_t i = 0; i < answer->keep_count; i++)
        names[count++] = answer->keep[i];
    calm_bytes unused = {0}; /* JSON has no header, but the same rule */
    calm_csv_writer csv = {.out = answer->json ? &unused : out};
    int rc = calm_csv_put_names(&csv, names, count);
    calm_bytes_clear(&unused);
    free(names);
    return calm_while(rc, "the columns of the output");
}

/* ---- a row that is good ---- */

static void csv_cell(calm_csv_writer *csv, const struct calm__cell *cell)
{
    calm_csv_put_bytes(csv, cell->text, cell->absent ? 0 : cell->len);
}

static int predictor_answer(const struct calm__answer *answer,
    const struct place *place, struct calm__fields *out)
{
    struct calm__predictor *predictor = answer->predictor;
    return predictor->methods->answer(
        predictor, place->batch, place->index, out);
}

static int csv_row(const struct calm__answer *answer, const struct place *place)
{
    struct calm__fields out = {
        .csv = {.out = &place->batch->out, .csv_safe = answer->csv_safe}};
    if (answer->with_row)
        calm_csv_put_int(&out.csv, (int64_t)place->row->row);
    if (place->id)
        csv_cell(&out.csv, place->id);
    else
        calm_csv_put_int(&out.csv, (int64_t)place->row->row);
    int rc = predictor_answer(answer, place, &out);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < answer->keep_count; i++)
        csv_cell(&out.csv, &place->kept[i]);
    return calm_csv_end_row(&out.csv);
}

static void json_cell(calm_json_writer *json, const struct calm__cell *cell)
{
    if (cell->absent)
        calm_json_put_null(json);
    else if (cell->json)
        calm_json_put_raw(json, cell->text, cell->len);
    else
        calm_json_put_bytes(json, cell->text, cell->len);
}

/* Whether every reader of JSON gives a number back as it stands: a whole one
 * of up to 15 digits. */
static bool is_plain(const struct calm__cell *cell)
{
    bool plain = cell->len <= 15;
    for (size_t i = 0; plain && i < cell->len; i++)
        plain = cell->text[i] >= '0' && cell->text[i] <= '9';
    return plain;
}

struct calm__cell calm__answer_id(
    const struct calm__dataset *dataset, const struct calm__cell *cell)
{
    struct calm__cell id = *cell;
    id.json &= calm__dataset_is_json(dataset) || is_plain(&id);
    return id;
}

static void json_id(calm_json_writer *json, const struct place *place)
{
    struct calm__cell id = calm__answer_id(place->batch->dataset, place->id);
    json_cell(json, &id);
}

static int json_row(
    const struct calm__answer *answer, const struct place *place)
{
    struct calm__fields out = {
        .json = true, .object = {.out = &place->batch->out}};
    calm_json_begin_object(&out.object);
    if (answer->with_row) {
        calm_json_put_key(&out.object, "row");
        calm_json_put_uint(&out.object, place->row->row);
    }
    calm_json_put_key(&out.object, answer->id_name);
    if (place->id)
        json_id(&out.object, place);
    else
        calm_json_put_uint(&out.object, place->row->row);
    int rc = predictor_answer(answer, place, &out);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < answer->keep_count; i++) {
        calm_json_put_key(&out.object, answer->keep[i]);
        json_cell(&out.object, &place->kept[i]);
    }
    calm_json_end_object(&out.object);
    return calm_json_end_line(&out.object);
}

/* ---- a row that failed ---- */

void calm__answer_failure(const struct calm__row *row, calm_json_writer *json)
{
    calm_json_put_key(json, "attempts");
    calm_json_put_int(json, row->attempts);
    calm_json_put_key(json, "status");
    if (row->http_status > 0)
        calm_json_put_int(json, row->http_status);
    else
        calm_json_put_null(json);
    calm_json_put_key(json, "cause");
    calm_json_put_text(json, row->cause ? row->cause : "unknown");
}

/* A line of JSON: row, line, id, attempts, status, cause. */
static int error_row(const struct place *place)
{
    const struct calm__row *row = place->row;
    calm_json_writer json = {.out = &place->batch->errors};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "row");
    calm_json_put_uint(&json, row->row);
    calm_json_put_key(&json, "line");
    calm_json_put_uint(&json, row->line);
    calm_json_put_key(&json, "id");
    if (place->id)
        json_id(&json, place);
    else
        calm_json_put_uint(&json, row->row);
    calm__answer_failure(row, &json);
    calm_json_end_object(&json);
    return calm_json_end_line(&json);
}

/* ---- batches ---- */

static int row_answer(const struct calm__answer *answer, struct place *place)
{
    struct calm__batch *batch = place->batch;
    struct calm__predictor *predictor = answer->predictor;
    int rc = calm__batch_cells_again(batch, place->index);
    if (rc < 0)
        return rc;
    place->row = &batch->rows[place->index];
    if (place->row->status < 0) {
        batch->failed++;
        return predictor->lines ? predictor->methods->line(predictor, batch,
                                      place->index, &batch->errors)
                                : error_row(place);
    }
    if (answer->has_truth && predictor->methods->compare)
        predictor->methods->compare(
            predictor, batch, place->index, &batch->cells[!answer->id_is_row]);
    batch->ok++;
    if (predictor->lines)
        return predictor->methods->line(
            predictor, batch, place->index, &batch->out);
    return (answer->json ? json_row : csv_row)(answer, place);
}

int calm__answer_batch(
    const struct calm__answer *answer, struct calm__batch *batch)
{
    size_t first = !answer->id_is_row;
    struct place place = {.batch = batch,
        .id = answer->id_is_row ? NULL : batch->cells,
        .kept = batch->cells + first + answer->has_truth};
    int rc = 0;
    for (; rc >= 0 && place.index < batch->count; place.index++) {
        rc = row_answer(answer, &place);
        batch->rows[place.index].out_end = batch->out.len;
    }
    return rc;
}
