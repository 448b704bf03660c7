/* sample.h - rows and a model to measure prediction with
 *
 * Twelve features of plain decimals and a model of 100 trees of depth 6, always
 * the same for the same SEED.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    SAMPLE_COLUMNS = 12,
    SAMPLE_TREES = 100,
    SAMPLE_DEPTH = 6,
    SAMPLE_SCALE = 10000, /* four digits behind the point */
};

/* The next row as whole numbers, SAMPLE_SCALE times its values. */
void sample_row(uint64_t *seed, int32_t *ret_row);

/* ROWS rows of floats. */
void sample_matrix(uint64_t seed, float *matrix, size_t rows);

/* Trains the model, with names f0 to f11, and saves it. Ends the program when
 * that fails. */
void sample_train(const char *path);

/* Ends the program with XGBoost's message unless RC is 0. */
void sample_check(int rc, const char *what);

#endif
