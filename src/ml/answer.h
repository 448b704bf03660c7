/* ml/answer.h - a batch's predictions as text: CSV or JSON Lines */
#ifndef CALM_ML_ANSWER_H
#define CALM_ML_ANSWER_H

#include "ml/batch.h"

#include <calm/json.h>

struct calm__predictor;

/* Where the columns of a row are put: one of the two writers. */
struct calm__fields {
    bool json;
    calm_csv_writer csv;
    calm_json_writer object; /* a key, then a value, for each column */
};

/* What a row of the output consists of. */
struct calm__answer {
    bool json;
    bool csv_safe;
    bool with_row;           /* a column with the row's number */
    const char *id_name;     /* its column's name in the output */
    bool id_is_row;          /* else the first cell */
    bool has_truth;          /* the next cell */
    const char *const *keep; /* and the next ones */
    size_t keep_count;
    struct calm__predictor *predictor;
};

/* The header line, nothing for JSON. Returns 0, -ENOMEM, or -EINVAL when two
 * columns would have one name. */
int calm__answer_head(const struct calm__answer *answer, calm_bytes *out);

/* An id as it stands in JSON. One of CSV is a text, by which rows are found
 * again: 1.10 and 1e5 would come back as others. */
struct calm__cell calm__answer_id(
    const struct calm__dataset *dataset, const struct calm__cell *cell);

/* The members attempts, status and cause of a row that failed. */
void calm__answer_failure(const struct calm__row *row, calm_json_writer *json);

/* The rows of a batch: into its output, or its errors where they failed, and
 * what is counted of them. Returns 0 or -ENOMEM. */
int calm__answer_batch(
    const struct calm__answer *answer, struct calm__batch *batch);

#endif
