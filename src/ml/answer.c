/* answer.c - a batch's predictions as text: CSV or JSON Lines */
#include "ml/answer.h"

#include <calm/json.h>

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

static bool has_label(const calm_model *model)
{
    return calm_model_kind(model) != CALM_MODEL_VALUE;
}

static bool has_classes(const calm_model *model)
{
    return calm_model_kind(model) == CALM_MODEL_PROBABILITIES;
}

/* The value in the column "prediction": for several classes the winner's. */
static float prediction_of(const calm_model *model, const float *values)
{
    return has_classes(model) ? values[calm_model_label(model, values)]
                              : values[0];
}

/* ---- CSV ---- */

int calm__answer_head(const struct calm__answer *answer, calm_bytes *out)
{
    const calm_model *model = answer->model;
    size_t classes = has_classes(model) ? calm_model_values(model) : 0;
    size_t count = 0, most = 4 + classes + answer->keep_count;
    const char **names = calloc(most, sizeof *names);
    char(*numbered)[24] = calloc(classes + 1, sizeof *numbered);
    int rc = names && numbered ? 0 : -ENOMEM;
    if (rc == 0) {
        if (answer->with_row)
            names[count++] = "row";
        names[count++] = answer->id_name;
        names[count++] = "prediction";
        if (has_label(model))
            names[count++] = "label";
        for (size_t i = 0; i < classes; i++) {
            snprintf(numbered[i], sizeof *numbered, "p_%zu", i);
            names[count++] = numbered[i];
        }
        for (size_t i = 0; i < answer->keep_count; i++)
            names[count++] = answer->keep[i];
        calm_bytes unused = {0}; /* JSON has no header, but the same rule */
        calm_csv_writer csv = {.out = answer->json ? &unused : out};
        rc = calm_csv_put_names(&csv, names, count);
        calm_bytes_clear(&unused);
    }
    free(names);
    free(numbered);
    return calm_while(rc, "the columns of the output");
}

static void csv_cell(calm_csv_writer *csv, const struct calm__cell *cell)
{
    calm_csv_put_bytes(csv, cell->text, cell->absent ? 0 : cell->len);
}

static int csv_row(const struct calm__answer *answer, calm_bytes *out,
    const struct calm__row *row, const struct calm__cell *id,
    const struct calm__cell *kept, const float *values)
{
    const calm_model *model = answer->model;
    calm_csv_writer csv = {.out = out, .csv_safe = answer->csv_safe};
    if (answer->with_row)
        calm_csv_put_int(&csv, (int64_t)row->row);
    if (answer->id_is_row)
        calm_csv_put_int(&csv, (int64_t)row->row);
    else
        csv_cell(&csv, id);
    calm_csv_put_float(&csv, prediction_of(model, values));
    if (has_label(model))
        calm_csv_put_int(&csv, calm_model_label(model, values));
    if (has_classes(model))
        calm_csv_put_floats(&csv, values, calm_model_values(model));
    for (size_t i = 0; i < answer->keep_count; i++)
        csv_cell(&csv, &kept[i]);
    return calm_csv_end_row(&csv);
}

/* ---- JSON ---- */

static void json_cell(calm_json_writer *json, const struct calm__cell *cell)
{
    if (cell->absent)
        calm_json_put_null(json);
    else if (cell->json)
        calm_json_put_raw(json, cell->text, cell->len);
    else
        calm_json_put_bytes(json, cell->text, cell->len);
}

static int json_row(const struct calm__answer *answer, calm_bytes *out,
    const struct calm__row *row, const struct calm__cell *id,
    const struct calm__cell *kept, const float *values)
{
    const calm_model *model = answer->model;
    calm_json_writer json = {.out = out};
    calm_json_begin_object(&json);
    if (answer->with_row) {
        calm_json_put_key(&json, "row");
        calm_json_put_uint(&json, row->row);
    }
    calm_json_put_key(&json, answer->id_name);
    if (answer->id_is_row)
        calm_json_put_uint(&json, row->row);
    else
        json_cell(&json, id);
    calm_json_put_key(&json, "prediction");
    calm_json_put_float(&json, prediction_of(model, values));
    if (has_label(model)) {
        calm_json_put_key(&json, "label");
        calm_json_put_int(&json, calm_model_label(model, values));
    }
    for (size_t i = 0; has_classes(model) && i < calm_model_values(model);
         i++) {
        char name[24];
        snprintf(name, sizeof name, "p_%zu", i);
        calm_json_put_key(&json, name);
        calm_json_put_float(&json, values[i]);
    }
    for (size_t i = 0; i < answer->keep_count; i++) {
        calm_json_put_key(&json, answer->keep[i]);
        json_cell(&json, &kept[i]);
    }
    calm_json_end_object(&json);
    return calm_json_end_line(&json);
}

int calm__answer_row(const struct calm__answer *answer, calm_bytes *out,
    const struct calm__row *row, const struct calm__cell *id,
    const struct calm__cell *kept, const float *values)
{
    return (answer->json ? json_row : csv_row)(
        answer, out, row, id, kept, values);
}

int calm__answer_error(calm_bytes *out, const struct calm__row *row,
    const struct calm__cell *id, const char *cause)
{
    calm_json_writer json = {.out = out};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "row");
    calm_json_put_uint(&json, row->row);
    calm_json_put_key(&json, "line");
    calm_json_put_uint(&json, row->line);
    calm_json_put_key(&json, "id");
    if (id)
        json_cell(&json, id);
    else
        calm_json_put_uint(&json, row->row);
    calm_json_put_key(&json, "attempts");
    calm_json_put_int(&json, 1);
    calm_json_put_key(&json, "status");
    calm_json_put_null(&json);
    calm_json_put_key(&json, "cause");
    calm_json_put_text(&json, cause);
    calm_json_end_object(&json);
    return calm_json_end_line(&json);
}
