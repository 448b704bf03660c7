/* train.c - trains an XGBoost model on a CSV file, holding rows back
 *
 *     train INPUT.csv LABEL ID MODEL.json HELD.csv
 *
 * Every fifth row (the first, the sixth, ...) is written to HELD.csv and not
 * learned from; all columns but LABEL and ID are features. The split and the
 * training are the same at every run. It is what `./dev demo` predicts with.
 */
#include <calm.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

enum { ROUNDS = 50, HELD_EVERY = 5 };

struct training {
    const char *input, *label, *id, *model, *held;
    calm_csv_table *table;
    size_t columns;
    size_t *features; /* columns */
    const char **names;
    size_t feature_count;
    float *matrix, *labels;
    size_t rows;
};

static int features_choose(struct training *training)
{
    const calm_csv_header *header = calm_csv_table_header(training->table);
    size_t column;
    int rc = calm_csv_header_find(header, training->label, &column);
    if (rc == 0)
        rc = calm_csv_header_find(header, training->id, &column);
    training->columns = calm_csv_header_count(header);
    training->features = calloc(training->columns, sizeof(size_t));
    training->names = calloc(training->columns, sizeof(char *));
    for (size_t i = 0; rc == 0 && i < training->columns; i++) {
        const char *name = calm_csv_header_name(header, i);
        if (strcmp(name, training->label) && strcmp(name, training->id)) {
            training->names[training->feature_count] = name;
            training->features[training->feature_count++] = i;
        }
    }
    return rc;
}

static float cell(const struct training *training, size_t row, size_t column)
{
    size_t len;
    float value = NAN;
    const char *text = calm_csv_table_cell(training->table, row, column, &len);
    return calm_float_parse(text, len, &value) == 0 ? value : NAN;
}

static void row_learn(struct training *training, size_t row)
{
    float *place = training->matrix + training->rows * training->feature_count;
    for (size_t i = 0; i < training->feature_count; i++)
        place[i] = cell(training, row, training->features[i]);
    const char *label =
        calm_csv_table_get(training->table, row, training->label);
    calm_float_parse(label, strlen(label), &training->labels[training->rows++]);
}

static int rows_split(struct training *training)
{
    const calm_csv_header *header = calm_csv_table_header(training->table);
    size_t rows = calm_csv_table_rows(training->table);
    training->matrix =
        calloc(rows * training->feature_count + 1, sizeof(float));
    training->labels = calloc(rows + 1, sizeof(float));
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out};
    for (size_t i = 0; i < training->columns; i++)
        calm_csv_put_text(&csv, calm_csv_header_name(header, i));
    calm_csv_end_row(&csv);
    for (size_t row = 0; row < rows; row++) {
        if (row % HELD_EVERY != 0) {
            row_learn(training, row);
            continue;
        }
        for (size_t i = 0; i < training->columns; i++)
            calm_csv_put_text(
                &csv, calm_csv_table_cell(training->table, row, i, NULL));
        calm_csv_end_row(&csv);
    }
    int rc = csv.error;
    if (rc == 0)
        rc =
            calm_file_write_all(training->held, out.data, out.len, CALM_ATOMIC);
    calm_bytes_clear(&out);
    return rc;
}

static int learn(struct training *training)
{
    DMatrixHandle data = NULL;
    BoosterHandle booster = NULL;
    bool good = !XGDMatrixCreateFromMat(training->matrix, training->rows,
                    training->feature_count, NAN, &data) &&
                !XGDMatrixSetFloatInfo(
                    data, "label", training->labels, training->rows) &&
                !XGBoosterCreate(&data, 1, &booster) &&
                !XGBoosterSetParam(booster, "objective", "binary:logistic") &&
                !XGBoosterSetParam(booster, "max_depth", "4") &&
                !XGBoosterSetParam(booster, "eta", "0.2") &&
                !XGBoosterSetParam(booster, "seed", "1");
    for (int round = 0; good && round < ROUNDS; round++)
        good = !XGBoosterUpdateOneIter(booster, round, data);
    good = good && !XGBoosterSetStrFeatureInfo(booster, "feature_name",
                       training->names, training->feature_count);
    good = good && !XGBoosterSaveModel(booster, training->model);
    int rc = good ? 0 : calm_fail(CALM_EMODEL, "%s", XGBGetLastError());
    if (booster)
        XGBoosterFree(booster);
    if (data)
        XGDMatrixFree(data);
    return rc;
}

static int train(void *arg)
{
    struct training *training = arg;
    calm_bytes text = {0};
    int rc = calm_file_read_all(training->input, &text);
    if (rc == 0)
        rc = calm_csv_table_parse(text.data, text.len, NULL, &training->table);
    if (rc == 0)
        rc = features_choose(training);
    if (rc == 0)
        rc = rows_split(training);
    if (rc == 0)
        rc = learn(training);
    if (rc == 0)
        printf("learned from %zu rows of %zu features, held back %zu\n",
            training->rows, training->feature_count,
            calm_csv_table_rows(training->table) - training->rows);
    calm_csv_table_free(training->table);
    calm_bytes_clear(&text);
    free(training->features);
    free(training->names);
    free(training->matrix);
    free(training->labels);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: train INPUT.csv LABEL ID MODEL.json HELD.csv\n", stderr);
        return 2;
    }
    struct training training = {.input = argv[1],
        .label = argv[2],
        .id = argv[3],
        .model = argv[4],
        .held = argv[5]};
    int rc = calm_run(train, &training);
    if (rc < 0)
        fprintf(stderr, "train: %s\n", calm_message(rc));
    return rc < 0;
}
