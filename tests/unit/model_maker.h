/* model_maker.h - small models for tests, trained when they are needed */
#ifndef MODEL_MAKER_H
#define MODEL_MAKER_H

#include <stddef.h>

enum { MAKER_ROWS = 400, MAKER_COLUMNS = 5 };

struct maker {
    const char *objective;
    const char *booster; /* NULL: gbtree */
    int classes;         /* 0 unless the objective is for several */
    int rounds;
    int depth;
    int with_names; /* "a", "b", ... */
};

/* MAKER_ROWS rows of MAKER_COLUMNS floats, always the same, some missing. */
const float *maker_matrix(void);

/* Trains a model and writes it to PATH, as JSON or UBJSON by its end. The rows
 * of EXPECTED, if not NULL, become what XGBoost itself predicts. Returns the
 * number of values. Failures end the test. */
size_t maker_train(
    const struct maker *maker, const char *path, float *expected);

/* A path in a folder of this test run, good until the fourth call after. */
const char *maker_path(const char *name);

/* Makes a file of LEN bytes. */
void maker_write(const char *path, const void *data, size_t len);

/* The bytes of a file, from malloc(), with a NUL behind them. */
char *maker_read(const char *path, size_t *ret_len);

/* Removes the folder and what is in it. */
void maker_clear(void);

#endif
