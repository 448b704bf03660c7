/* model_maker.c - small models for tests, trained when they are needed
 *
 * On XGBoost's own interface and not on calm's, so that what is expected does
 * not come from what is tested.
 */
#include "model_maker.h"

#include <xgboost/c_api.h>

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <unistd.h>
#include <cmocka.h>

#define MUST(call) assert_int_equal((call), 0)

/* In memory where there is such a folder: tests sync thousands of times. */
static char folder[64];
static int has_folder;

static unsigned random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

const float *maker_matrix(void)
{
    static float matrix[MAKER_ROWS * MAKER_COLUMNS];
    uint64_t state = 1;
    for (size_t i = 0; i < MAKER_ROWS * MAKER_COLUMNS; i++) {
        float value = (float)(random_next(&state) % 2000) / 500 - 2;
        matrix[i] = random_next(&state) % 8 == 0 ? NAN : value;
    }
    return matrix;
}

/* A label that depends on the first two columns. */
static void labels_make(int classes, float *labels)
{
    const float *row = maker_matrix();
    for (size_t i = 0; i < MAKER_ROWS; i++, row += MAKER_COLUMNS) {
        float a = isnan(row[0]) ? 0 : row[0], b = isnan(row[1]) ? 1 : row[1];
        float value = fabsf(a + b * b);
        labels[i] = classes ? (float)((int)value % classes) : value;
    }
}

static void parameters_set(BoosterHandle booster, const struct maker *maker)
{
    char number[16];
    XGBSetGlobalConfig("{\"verbosity\":0}");
    MUST(XGBoosterSetParam(booster, "nthread", "1"));
    MUST(XGBoosterSetParam(booster, "objective", maker->objective));
    if (maker->booster)
        MUST(XGBoosterSetParam(booster, "booster", maker->booster));
    if (maker->booster && strcmp(maker->booster, "dart") == 0)
        MUST(XGBoosterSetParam(booster, "rate_drop", "0.3"));
    if (maker->classes > 2) {
        snprintf(number, sizeof number, "%d", maker->classes);
        MUST(XGBoosterSetParam(booster, "num_class", number));
    }
    if (!maker->booster || strcmp(maker->booster, "gblinear") != 0) {
        snprintf(number, sizeof number, "%d", maker->depth);
        MUST(XGBoosterSetParam(booster, "max_depth", number));
    }
}

static size_t expected_make(
    BoosterHandle booster, DMatrixHandle data, float *expected)
{
    const char *config = "{\"type\":0,\"training\":false,"
                         "\"iteration_begin\":0,\"iteration_end\":0,"
                         "\"strict_shape\":true}";
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *values;
    MUST(XGBoosterPredictFromDMatrix(
        booster, data, config, &shape, &dimensions, &values));
    size_t count = shape[0] * shape[1];
    if (expected)
        memcpy(expected, values, count * sizeof *values);
    return count;
}

size_t maker_train(const struct maker *maker, const char *path, float *expected)
{
    const char *names[] = {"a", "b", "c", "d", "e"};
    float labels[MAKER_ROWS];
    DMatrixHandle data;
    BoosterHandle booster;
    MUST(XGDMatrixCreateFromMat(
        maker_matrix(), MAKER_ROWS, MAKER_COLUMNS, NAN, &data));
    int binary = strncmp(maker->objective, "binary:", 7) == 0;
    labels_make(binary ? 2 : maker->classes, labels);
    MUST(XGDMatrixSetFloatInfo(data, "label", labels, MAKER_ROWS));
    MUST(XGBoosterCreate(&data, 1, &booster));
    parameters_set(booster, maker);
    for (int round = 0; round < maker->rounds; round++)
        MUST(XGBoosterUpdateOneIter(booster, round, data));
    if (maker->with_names)
        MUST(XGBoosterSetStrFeatureInfo(
            booster, "feature_name", names, MAKER_COLUMNS));
    MUST(XGBoosterSaveModel(booster, path));
    size_t count = expected_make(booster, data, expected);
    XGBoosterFree(booster);
    XGDMatrixFree(data);
    return count;
}

const char *maker_path(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    if (!has_folder) {
        snprintf(folder, sizeof folder, "%s/calm-model-XXXXXX",
            access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(folder));
    }
    has_folder = 1;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void maker_write(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

char *maker_read(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long len = ftell(file);
    rewind(file);
    char *data = calloc(1, (size_t)len + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)len, file), len);
    fclose(file);
    *ret_len = (size_t)len;
    return data;
}

void maker_clear(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (has_folder && system(command) != 0)
        fprintf(stderr, "%s was not removed\n", folder);
    has_folder = 0;
}
