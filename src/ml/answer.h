/* ml/answer.h - a batch's predictions as text: CSV or JSON Lines */
#ifndef CALM_ML_ANSWER_H
#define CALM_ML_ANSWER_H

#include "ml/dataset.h"

#include <calm/model.h>

/* What a row of the output consists of. */
struct calm__answer {
    bool json;
    bool csv_safe;
    bool with_row;       /* a column with the row's number */
    const char *id_name; /* its column's name in the output */
    bool id_is_row;      /* else the first cell */
    const char *const *keep;
    size_t keep_count;
    const calm_model *model;
};

/* The header line, nothing for JSON. Returns 0, -ENOMEM, or -EINVAL when two
 * columns would have one name. */
int calm__answer_head(const struct calm__answer *answer, calm_bytes *out);

/* One row. CELLS: the id's, unless it is the row's number, then the kept. */
int calm__answer_row(const struct calm__answer *answer, calm_bytes *out,
    const struct calm__row *row, const struct calm__cell *id,
    const struct calm__cell *kept, const float *values);

/* A failed row, a line of JSON: row, line, id, attempts, status, cause. */
int calm__answer_error(calm_bytes *out, const struct calm__row *row,
    const struct calm__cell *id, const char *cause);

#endif
