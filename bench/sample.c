/* sample.c - rows and a model to measure prediction with */
#include "sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xgboost/c_api.h>

enum { TRAIN_ROWS = 20000 };

static uint32_t random_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

void sample_row(uint64_t *seed, int32_t *ret_row)
{
    for (int i = 0; i < SAMPLE_COLUMNS; i++) {
        int32_t width = 100 * SAMPLE_SCALE >> (i % 4);
        ret_row[i] = (int32_t)(random_next(seed) % (2 * (uint32_t)width));
        ret_row[i] -= i % 3 == 0 ? width : 0;
    }
}

void sample_matrix(uint64_t seed, float *matrix, size_t rows)
{
    for (size_t row = 0; row < rows; row++) {
        int32_t values[SAMPLE_COLUMNS];
        sample_row(&seed, values);
        for (int i = 0; i < SAMPLE_COLUMNS; i++)
            *matrix++ = (float)((double)values[i] / SAMPLE_SCALE);
    }
}

void sample_check(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, XGBGetLastError());
    exit(1);
}

/* Depends on all columns, and is noisy, so that the trees grow to their full
 * depth. */
static float label_of(const float *row, uint64_t *seed)
{
    double sum = (double)(random_next(seed) % 100) - 50;
    for (int i = 0; i < SAMPLE_COLUMNS; i++)
        sum += sin(row[i] / (3 + i)) * 30;
    return sum > 0;
}

void sample_train(const char *path)
{
    static float matrix[TRAIN_ROWS * SAMPLE_COLUMNS], labels[TRAIN_ROWS];
    static const char *names[SAMPLE_COLUMNS] = {"f0", "f1", "f2", "f3", "f4",
        "f5", "f6", "f7", "f8", "f9", "f10", "f11"};
    uint64_t seed = 7;
    DMatrixHandle data;
    BoosterHandle booster;
    char depth[8];
    snprintf(depth, sizeof depth, "%d", SAMPLE_DEPTH);
    sample_matrix(1, matrix, TRAIN_ROWS);
    for (size_t i = 0; i < TRAIN_ROWS; i++)
        labels[i] = label_of(matrix + i * SAMPLE_COLUMNS, &seed);
    sample_check(
        XGDMatrixCreateFromMat(matrix, TRAIN_ROWS, SAMPLE_COLUMNS, NAN, &data),
        "matrix");
    sample_check(
        XGDMatrixSetFloatInfo(data, "label", labels, TRAIN_ROWS), "labels");
    sample_check(XGBoosterCreate(&data, 1, &booster), "booster");
    sample_check(XGBoosterSetParam(booster, "objective", "binary:logistic") |
                     XGBoosterSetParam(booster, "tree_method", "hist") |
                     XGBoosterSetParam(booster, "max_depth", depth),
        "parameters");
    for (int round = 0; round < SAMPLE_TREES; round++)
        sample_check(XGBoosterUpdateOneIter(booster, round, data), "training");
    sample_check(XGBoosterSetStrFeatureInfo(
                     booster, "feature_name", names, SAMPLE_COLUMNS),
        "names");
    sample_check(XGBoosterSaveModel(booster, path), path);
    XGBoosterFree(booster);
    XGDMatrixFree(data);
}
