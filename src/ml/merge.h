/* ml/merge.h - an output again, with rows that had failed in their places
 *
 * Only rows that failed are predicted again. The output that is there is
 * copied beside it, record by record as it stands, and what is new comes where
 * it belongs: in input order, or behind the rest where the order is free.
 *
 *     before    a  b     d  e        records of the rows 0 1 3 4
 *     again           c              row 2, with 2 records before it
 *     after     a  b  c  d  e
 */
#ifndef CALM_ML_MERGE_H
#define CALM_ML_MERGE_H

#include "ml/batch.h"
#include "ml/selection.h"
#include "ml/sink.h"

/* A row that failed. */
struct calm__failed {
    uint64_t row, line;
    uint64_t before; /* records of the output before that precede it */
    size_t id;       /* offset of its id in a text, see retry_failed.c */
    size_t id_len;
    bool has_id; /* none is known of a row that could not be read */
    bool id_is_text;
};

struct calm__merge {
    struct calm__failed *failed; /* by row */
    size_t count;
    size_t next;               /* the one that is looked for next */
    struct calm__dataset *old; /* the output before, cut into records */
    uint64_t copied;           /* of its records */
    uint64_t records;          /* that it has */
    bool unordered;
    struct calm__selection rows; /* the failed ones */
    calm_bytes ids;
    uint64_t hash; /* of the errors and the output before */
};

/* Passes over the first COUNT records, which an earlier run has copied. */
int calm__merge_skip(struct calm__merge *merge, uint64_t count);

/* Copies records until COUNT of them are copied. Suspends. */
int calm__merge_copy(
    struct calm__merge *merge, uint64_t count, struct calm__sink *sink);

/* What is new of a batch, and what comes before it. Suspends. */
int calm__merge_batch(struct calm__merge *merge,
    const struct calm__batch *batch, struct calm__sink *sink);

/* Frees; NULL is fine. */
void calm__merge_close(struct calm__merge *merge);

#endif
